"""Claims: the row that makes an effect happen exactly once, inserted in the effect's own transaction.

The table is partitioned by position, and old partitions may be dropped (``retention/claims``). It is not known any
more what was applied there, so a constraint of the partition that would take such a claim refuses it: that costs the
other claims nothing, and no reader of an old state can slip past it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from logging import getLogger
from typing import Any
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from fundlyhub.database import get_engine
from fundlyhub.database.arrays import array
from fundlyhub.database.faults import violated
from fundlyhub.database.partitioned import REFUSES_DROPPED
from fundlyhub.errors import ClaimsDropped
from fundlyhub.events import Event
from fundlyhub.settings import Branch

log = getLogger(__name__)


# A claim of another event at the same position stems from a log that was restored to an earlier time: it
# does not count, and is overwritten together with the effect. Sorted, so that two workers with overlapping batches wait
# for each other and do not deadlock.
# Returns the claimed ones, as whose and which; NULL means that all of them were new, which is the usual answer. A fresh
# row has the time of its transaction, and an overwritten one a later time: a partitioned table does not return xmax.
_CLAIM = """
    WITH fresh AS (
        INSERT INTO processed_events AS claimed (processor, position, event_id)
        SELECT {processor}, given.position, given.id
        FROM {given}
        ORDER BY 1, 2
        ON CONFLICT (processor, position) DO UPDATE
            SET event_id = excluded.event_id, processed_at = clock_timestamp() + interval '1 microsecond'
            WHERE claimed.event_id <> excluded.event_id
        RETURNING processor, position, processed_at <> now() AS overwritten
    )
    SELECT count(*), CASE WHEN count(*) <> %(given)s THEN jsonb_agg(jsonb_build_array(processor, position)) END,
           count(*) FILTER (WHERE overwritten), min(position) FILTER (WHERE overwritten)
    FROM fresh
"""
_CLAIM_FOR_ONE = _CLAIM.format(
    processor="%(name)s", given="unnest(%(positions)s::bigint[], %(ids)s::uuid[]) AS given(position, id)"
)
_CLAIM_FOR_SEVERAL = _CLAIM.format(
    processor="(%(names)s::text[])[given.whose]",
    given="unnest(%(positions)s::bigint[], %(ids)s::uuid[], %(whose)s::int[]) AS given(position, id, whose)",
)

_CLAIMED = """
    SELECT position, event_id FROM processed_events
    WHERE processor = %(processor)s AND position = ANY (%(positions)s::bigint[])
"""
_DROPPED = """
    SELECT position FROM unnest(%(positions)s::bigint[]) AS given(position)
    WHERE EXISTS (SELECT FROM dropped_claims WHERE position BETWEEN low AND high)
"""
_DROPPED_RANGES = "SELECT low, high FROM dropped_claims ORDER BY low"
_LAST_DROPPED = "SELECT coalesce(max(high), 0) FROM dropped_claims"


def claim(db: Connection, processor: str, events: Sequence[Event]) -> list[Event]:
    """Claim these events for a processor and return those that were not applied before.

    Raises ClaimsDropped when the claims of one of these positions have been dropped.
    """
    return claim_for_several(db, {processor: events})[processor]


def claim_for_several(db: Connection, given: Mapping[str, Sequence[Event]]) -> dict[str, list[Event]]:
    """The same for several processors, by their names, in one statement."""
    (first, *others), events = given, [event for wanted in given.values() for event in wanted]
    values: dict[str, Any] = {
        "given": len(events),
        "positions": array(event.position for event in events),
        "ids": array(event.id for event in events),
    }
    if others:
        values["names"] = list(given)
        values["whose"] = array(number for number, wanted in enumerate(given.values(), 1) for _ in wanted)
    else:
        values["name"] = first
    try:
        found = db.exec_driver_sql(_CLAIM_FOR_SEVERAL if others else _CLAIM_FOR_ONE, values)
        count, claimed_now, overwritten, lowest = found.one()
    except DBAPIError as error:
        if violated(error) == REFUSES_DROPPED:
            raise ClaimsDropped() from None
        raise
    if overwritten:
        log.warning(
            "%s: %d claims held other events at these positions (a restored log?), the first at %d",
            ", ".join(given), overwritten, lowest,
        )  # fmt: skip
    if count == len(events):
        return {name: list(wanted) for name, wanted in given.items()}
    fresh = {(name, position) for name, position in claimed_now or ()}
    return {name: [one for one in wanted if (name, one.position) in fresh] for name, wanted in given.items()}


def claimed(db: Connection, processor: str, positions: Sequence[int]) -> dict[int, UUID]:
    """Which of these positions the processor has applied, and with which event."""
    rows = db.exec_driver_sql(_CLAIMED, {"processor": processor, "positions": array(positions)})
    return {row.position: row.event_id for row in rows}


def dropped(db: Connection, positions: Sequence[int]) -> set[int]:
    """Those of these positions whose claims have been dropped.

    Code that also reads claims reads them first: a claim that is dropped between the two is seen here.
    """
    return set(db.exec_driver_sql(_DROPPED, {"positions": array(positions)}).scalars())


def dropped_ranges(db: Connection) -> list[tuple[int, int]]:
    """The ranges whose claims have been dropped, both ends included; a few, for any number of positions."""
    return [(low, high) for low, high in db.exec_driver_sql(_DROPPED_RANGES)]


def last_dropped(branches: Iterable[Branch]) -> int:
    """The last position at which claims have been dropped in any of these databases; 0 when none have."""
    found = [0]
    for branch in set(branches):
        with get_engine(branch).connect() as db:
            found.append(int(db.exec_driver_sql(_LAST_DROPPED).scalar_one()))
    return max(found)
