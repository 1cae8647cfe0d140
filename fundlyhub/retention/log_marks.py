"""Marks in the log: when it had reached a position, and a transaction that began only then.

Positions become visible out of order, so that the newest one says nothing of those below it. A mark's own transaction
got its id after those of all transactions with positions up to the mark: a reader that has seen the end of all
transactions below that id has seen all events up to the mark, those that were rolled back or committed late among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import psycopg

EVERY = 3_600.0
"""Seconds between two marks, where anything has been published."""

_TAKE = """
    INSERT INTO events.log_marks (position)
    SELECT %(position)s WHERE NOT EXISTS (
        SELECT FROM events.log_marks
        WHERE position >= %(position)s OR taken_at > clock_timestamp() - make_interval(secs => %(every)s))
    ON CONFLICT DO NOTHING
"""
_OLD = """
    SELECT coalesce(max(position), 0) FROM events.log_marks
    WHERE taken_at < clock_timestamp() - %(age)s::interval
"""
_PASSED = """
    SELECT p.name, (SELECT coalesce(max(m.position), 0) FROM events.log_marks m
                    WHERE m.xid < pg_snapshot_xmin(c.seen))
    FROM events.processors p LEFT JOIN events.relay_cursors c ON c.name = 'sweep:' || p.name
"""
_RESTAMP = "UPDATE events.log_marks SET xid = pg_current_xact_id()"


def take(db: psycopg.Connection[Any], position: int, every: float = EVERY) -> bool:
    """Mark a position, unless a mark was made in the last ``every`` seconds; tell whether it was made now.

    ``position`` is a head that was read some seconds ago: a row gets its position a moment before its transaction
    gets an id. ``db`` is an autocommit connection to the Events DB.
    """
    return position > 0 and db.execute(_TAKE, {"position": position, "every": every}).rowcount == 1


def older_than(db: psycopg.Connection[Any], age: timedelta) -> int:
    """The last position of which it is known that the log had it that long ago."""
    (position,) = db.execute(_OLD, {"age": age}).fetchone() or (0,)
    return int(position)


def passed(db: psycopg.Connection[Any]) -> Mapping[str, int]:
    """For each registered processor the last mark up to which the sweep found all its events settled."""
    return dict(db.execute(_PASSED).fetchall())


def restamp(db: psycopg.Connection[Any]) -> None:
    """Transaction ids mean something else from now on: what was marked is as new as this transaction."""
    db.execute(_RESTAMP)
