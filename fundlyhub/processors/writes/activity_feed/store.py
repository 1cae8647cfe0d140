"""SQL on activities and timelines: remove and add."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection

from fundlyhub.database.arrays import Array, array, arrays
from fundlyhub.processors.writes.activity_feed.activities import Activity

_ENTRIES = """
    unnest(%(kinds)s::text[], %(ids)s::uuid[], %(times)s::timestamptz[], %(positions)s::bigint[])
    AS given(kind, id, occurred_at, position)
"""

_DELETE_ENTRIES = f"""
    DELETE FROM timeline_entries AS entry USING {_ENTRIES}
    WHERE entry.kind = given.kind AND entry.id = given.id
      AND entry.occurred_at = given.occurred_at AND entry.position = given.position
"""  # noqa: S608 - put together from constants

_DELETE = "DELETE FROM activities WHERE position = ANY (%(positions)s::bigint[])"

_INSERT = """
    INSERT INTO activities
        (position, occurred_at, type, actor_kind, actor_id, target_kind, target_id, detail_kind, detail_id,
         amount, currency)
    SELECT * FROM unnest(
        %(positions)s::bigint[], %(times)s::timestamptz[], %(types)s::text[], %(actor_kinds)s::text[],
        %(actors)s::uuid[], %(target_kinds)s::text[], %(targets)s::uuid[], %(detail_kinds)s::text[],
        %(details)s::uuid[], %(amounts)s::numeric[], %(currencies)s::text[]
    ) AS given(position)
    ORDER BY position
    ON CONFLICT DO NOTHING
"""

_INSERT_ENTRIES = f"""
    INSERT INTO timeline_entries (kind, id, occurred_at, position)
    SELECT * FROM {_ENTRIES}
    ORDER BY kind, id, occurred_at, position
    ON CONFLICT DO NOTHING
"""  # noqa: S608 - put together from constants

_COLUMNS = (
    "positions", "times", "types", "actor_kinds", "actors", "target_kinds", "targets", "detail_kinds", "details",
    "amounts", "currencies",
)  # fmt: skip


def remove(db: Connection, gone: Sequence[Activity]) -> None:
    """Remove activities from the timelines; the caller holds the lock on the facts behind them."""
    if gone:
        db.exec_driver_sql(_DELETE_ENTRIES, _entries(gone))
        db.exec_driver_sql(_DELETE, {"positions": array(activity.position for activity in gone)})


def add(db: Connection, new: Sequence[Activity]) -> None:
    """Put activities into the timelines; those that are there stay."""
    if new:
        db.exec_driver_sql(_INSERT, arrays(_COLUMNS, map(_row, new)))
        db.exec_driver_sql(_INSERT_ENTRIES, _entries(new))


def _row(activity: Activity) -> Iterable[Any]:
    nobody = (None, None)
    return (
        activity.position, activity.occurred_at, activity.type, *(activity.actor or nobody), *activity.target,
        *(activity.detail or nobody), activity.amount, activity.currency,
    )  # fmt: skip


def _entries(found: Iterable[Activity]) -> dict[str, Array]:
    rows = [(*line, activity.occurred_at, activity.position) for activity in found for line in activity.timelines]
    return arrays(("kinds", "ids", "times", "positions"), rows)
