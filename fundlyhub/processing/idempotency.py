"""Claims: the row that makes an effect happen exactly once, inserted in the effect's own transaction."""

from __future__ import annotations

from collections.abc import Sequence
from logging import getLogger
from uuid import UUID

from sqlalchemy import BigInteger, Column, Connection, MetaData, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import TIMESTAMP

from fundlyhub.database import METADATA
from fundlyhub.database.arrays import array
from fundlyhub.events import Event

log = getLogger(__name__)


def _processed_events(metadata: MetaData) -> Table:
    return Table(
        "processed_events",
        metadata,
        Column("processor", Text, primary_key=True),
        Column("position", BigInteger, primary_key=True),
        Column("event_id", Uuid, nullable=False),
        Column("processed_at", TIMESTAMP(timezone=True), nullable=False, server_default=text("now()")),
    )


processed_events = {branch: _processed_events(metadata) for branch, metadata in METADATA.items()}

# A claim of another event at the same position stems from a log that was restored to an earlier time: it
# does not count, and is overwritten together with the effect. Sorted by position, so that two workers with
# overlapping batches wait for each other and do not deadlock.
# Which ones are fresh is told only where not all are: the usual answer is one row.
_CLAIM = """
    WITH fresh AS (
        INSERT INTO processed_events AS claimed (processor, position, event_id)
        SELECT %(processor)s, given.position, given.id
        FROM unnest(%(positions)s::bigint[], %(ids)s::uuid[]) AS given(position, id)
        ORDER BY given.position
        ON CONFLICT (processor, position) DO UPDATE SET event_id = excluded.event_id, processed_at = now()
            WHERE claimed.event_id <> excluded.event_id
        RETURNING position, xmax::text <> '0' AS overwritten
    )
    SELECT count(*), CASE WHEN count(*) <> %(given)s THEN array_agg(position) END,
           count(*) FILTER (WHERE overwritten), min(position) FILTER (WHERE overwritten)
    FROM fresh
"""

_CLAIMED = """
    SELECT position, event_id FROM processed_events
    WHERE processor = %(processor)s AND position = ANY (%(positions)s::bigint[])
"""


def claim(db: Connection, processor: str, events: Sequence[Event]) -> list[Event]:
    """Claim these events for a processor and return those that were not applied before."""
    count, positions, overwritten, first = db.exec_driver_sql(
        _CLAIM,
        {
            "processor": processor,
            "given": len(events),
            "positions": array(event.position for event in events),
            "ids": array(event.id for event in events),
        },
    ).one()
    if overwritten:
        log.warning(
            "%s: %d claims held other events at these positions (a restored log?), the first at %d",
            processor, overwritten, first,
        )  # fmt: skip
    if count == len(events):
        return list(events)
    fresh = set(positions or ())
    return [event for event in events if event.position in fresh]


def claimed(db: Connection, processor: str, positions: Sequence[int]) -> dict[int, UUID]:
    """Which of these positions the processor has applied, and with which event."""
    rows = db.exec_driver_sql(_CLAIMED, {"processor": processor, "positions": array(positions)})
    return {row.position: row.event_id for row in rows}
