"""Rows of the log that break its own rules: a transaction id that no transaction had, or a position not given out yet.

Only a role with rights on the table itself can write them. A relay passes over an id that is yet to come, and has
passed one that is long gone; handing such an event over gives it the id of a new transaction, so that every cursor
finds it once more, and claims skip what was applied.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

import psycopg

from fundlyhub.database.rows import the_row

# A visible row was committed before this snapshot, in which all later ids are at or above its xmax.
# A role without rights on the sequence finds no position.
_LOOK = """
    SELECT (SELECT count(*) FROM events.events WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())),
           (SELECT count(*) FROM events.events
            WHERE position > (
                SELECT coalesce(last_value, 0) FROM pg_sequences
                WHERE schemaname = 'events' AND sequencename = 'events_position_seq'
                  AND has_sequence_privilege('events.events_position_seq', 'SELECT, USAGE')))
"""
# Of a page. An id below 3 is none. Ids that are given out after a mark in the log are above the mark's: a row that was
# recorded a day after it, with an id below it, has an id of an earlier transaction, unless its own was open for a day.
# Ids 3 are those of a rebase.
_AMONG = """
    WITH page AS (
        SELECT position, id, xid, recorded_at FROM events.events WHERE position = ANY (%(positions)s::bigint[])
    ), marks AS (
        SELECT max(xid) AS xid FROM events.log_marks
        WHERE taken_at < (SELECT min(recorded_at) FROM page) - interval '1 day'
              AND position < (SELECT min(position) FROM page)
    )
    SELECT p.position, p.id FROM page p, marks m
    WHERE p.xid >= pg_snapshot_xmax(pg_current_snapshot()) OR p.xid < '3' OR (p.xid > '3' AND p.xid < m.xid)
       OR CASE WHEN p.xid > '3' AND p.xid < pg_snapshot_xmax(pg_current_snapshot())
               THEN pg_xact_status(p.xid) = 'aborted' END
    ORDER BY p.position
"""
_HAND_OVER = "UPDATE events.events SET xid = pg_current_xact_id() WHERE position = ANY (%(positions)s::bigint[])"
FARTHEST = 2**62
"""From here on a position is never passed: the sequence would come to its end, and with it all publishing."""
_ADVANCE = f"""
    SELECT setval('events.events_position_seq', max(position)) FROM events.events WHERE position < {FARTHEST}
    HAVING max(position) > (SELECT last_value FROM events.events_position_seq)
"""  # noqa: S608  # our own constant
_FAR = f"SELECT position, id FROM events.events WHERE position >= {FARTHEST} ORDER BY position LIMIT %s"  # noqa: S608


class Forged(NamedTuple):
    """Numbers of rows: with a transaction id that is yet to come, and with a position that is."""

    future_xids: int
    future_positions: int


def look(db: psycopg.Connection[Any]) -> Forged:
    """What a look at two indexes finds. ``db`` is a connection to the Events DB."""
    return Forged(*the_row(db.execute(_LOOK)))


def among(db: psycopg.Connection[Any], positions: Sequence[int]) -> list[tuple[int, UUID]]:
    """Those of these positions whose transaction id cannot be theirs, with the events' ids."""
    return db.execute(_AMONG, {"positions": list(positions)}).fetchall()


def hand_over(db: psycopg.Connection[Any], positions: Sequence[int]) -> int:
    """Give these events the id of a new transaction; how many there were. It wants the log's owner."""
    return db.execute(_HAND_OVER, {"positions": list(positions)}).rowcount


def far(db: psycopg.Connection[Any], limit: int) -> list[tuple[int, UUID]]:
    """Positions that are never passed, with the events' ids; ``limit`` of them at most."""
    return db.execute(_FAR, (limit,)).fetchall()


def pass_positions(db: psycopg.Connection[Any]) -> None:
    """Let the sequence go on behind the last position below ``FARTHEST``, which else fails a publication.

    It wants the log's owner.
    """
    db.execute(_ADVANCE)
