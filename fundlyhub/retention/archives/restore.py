"""Restores archived events into the log, with their ids, positions and transaction ids.

Their transactions ended long ago, so that no cursor takes them for new. In another cluster than the one that they were
archived in these ids mean nothing: there they get 3, which is older than all.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from fundlyhub.database.audited import named
from fundlyhub.errors import WrongState, WrongUse
from fundlyhub.events.lines import Line, in_chunks
from fundlyhub.retention.archives.archive import Tell, alone
from fundlyhub.retention.archives.file import digest_of

_FIND = """
    SELECT id, events, restored_at, system_identifier = (SELECT system_identifier FROM pg_control_system())
    FROM events.archives WHERE sha256 = %s ORDER BY restored_at DESC NULLS FIRST LIMIT 1
"""
_BEGIN = "UPDATE events.archives SET restoring_at = coalesce(restoring_at, clock_timestamp()) WHERE id = %s"
_END = "UPDATE events.archives SET restored_at = clock_timestamp(), restored_by = %(who)s WHERE id = %(id)s"
# The id leaves event_ids and is in the log again in one transaction, so that no publisher sees it in neither.
_RESTORE = """
    WITH given AS (
        SELECT * FROM jsonb_to_recordset(%(lines)s::text::jsonb) AS g(position bigint, xid text, id uuid, type text,
            version text, "aggregateType" text, "aggregateId" text, payload jsonb, metadata jsonb,
            "correlationId" uuid, "causationId" uuid, "occurredAt" timestamptz, "recordedAt" timestamptz)
    ), forgotten AS (
        DELETE FROM events.event_ids i USING given WHERE i.id = given.id
    )
    INSERT INTO events.events (position, xid, id, type, version, aggregate_type, aggregate_id, payload, metadata,
                               correlation_id, causation_id, occurred_at, recorded_at)
    OVERRIDING SYSTEM VALUE
    SELECT position, CASE WHEN %(same)s AND xid::xid8 < pg_snapshot_xmin(pg_current_snapshot()) THEN xid::xid8
                          ELSE '3' END,
           id, type, version, "aggregateType", "aggregateId", payload, metadata, "correlationId", "causationId",
           "occurredAt", "recordedAt"
    FROM given ORDER BY position
    ON CONFLICT DO NOTHING
"""
_TAKEN = """
    SELECT g.position FROM jsonb_to_recordset(%(lines)s::text::jsonb) AS g(position bigint, id uuid)
    LEFT JOIN events.events e ON e.position = g.position AND e.id = g.id
    WHERE e.id IS NULL ORDER BY 1 LIMIT 1
"""


class _Found(NamedTuple):
    """An archive by its file."""

    id: int
    events: int
    restored: bool
    same_cluster: bool


def restore(db: psycopg.Connection[Any], file: Path, *, who: str, tell: Tell) -> int:
    """Bring the events of a file back; how many it holds, or 0 when it was restored before.

    ``db`` is an autocommit connection to the Events DB. Until the last event is back the archive counts as away; a
    run that ended before is gone on with. Raises WrongState when the file is none of this log's archives, or when a
    position is taken by another event.
    """
    who = named(who)
    with alone(db):
        found = _find(db, file)
        if found.restored:
            return 0
        db.execute(_BEGIN, (found.id,))
        done = 0
        for lines in _chunks(file):
            given = {"lines": f"[{b','.join(lines).decode()}]", "same": found.same_cluster}
            with db.transaction():
                db.execute(_RESTORE, given)
                if taken := db.execute(_TAKEN, given).fetchone():
                    raise WrongState(
                        f"position {taken[0]} of {file} is taken by another event: was the log restored to an "
                        "earlier time?"
                    )
            done += len(lines)
            tell("restoring", done, found.events)
        db.execute(_END, {"id": found.id, "who": who})
        return found.events


def _find(db: psycopg.Connection[Any], file: Path) -> _Found:
    try:
        digest = digest_of(file)
    except OSError as error:
        raise WrongUse(f"{file}: {error.strerror}") from None
    row = db.execute(_FIND, (digest,)).fetchone()
    if row is None:
        raise WrongState(f"{file} is no archive of this log, or is damaged; `fundlyhub events archives` lists them")
    id, events, restored_at, same = row
    return _Found(id, events, restored_at is not None, same)


def _chunks(file: Path) -> Iterator[list[bytes]]:
    """The lines in lists that are small enough for one transaction."""
    with gzip.open(file) as lines:
        for chunk in in_chunks(Line(number, text, False) for number, text in enumerate(lines, 1)):
            yield [line.text for line in chunk]
