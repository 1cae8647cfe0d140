"""SQL on activities and timelines: remove and add."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection

from fundlyhub.database.arrays import Columns, array
from fundlyhub.processors.writes.activity_feed.activities import Activity

_ACTIVITIES = Columns(
    position="bigint", occurred_at="timestamptz", type="code", actor_kind="code", actor_id="uuid", target_kind="code",
    target_id="uuid", detail_kind="code", detail_id="uuid", amount="numeric", currency="code",
)  # fmt: skip
_ENTRIES = Columns(kind="code", id="uuid", occurred_at="timestamptz", position="bigint")

_DELETE = "DELETE FROM activities WHERE position = ANY (%(positions)s::bigint[])"
_DELETE_ENTRIES = f"""
    DELETE FROM timeline_entries AS entry USING {_ENTRIES.given}
    WHERE entry.kind = given.kind AND entry.id = given.id
      AND entry.occurred_at = given.occurred_at AND entry.position = given.position
"""  # noqa: S608 - put together from constants
_INSERT = f"""
    INSERT INTO activities ({_ACTIVITIES}) SELECT * FROM {_ACTIVITIES.given} ORDER BY position ON CONFLICT DO NOTHING
"""  # noqa: S608
_INSERT_ENTRIES = f"""
    INSERT INTO timeline_entries ({_ENTRIES}) SELECT * FROM {_ENTRIES.given}
    ORDER BY kind, id, occurred_at, position ON CONFLICT DO NOTHING
"""  # noqa: S608


def remove(db: Connection, gone: Sequence[Activity]) -> None:
    """Remove activities from the timelines; the caller holds the lock on the facts behind them."""
    if gone:
        db.exec_driver_sql(_DELETE_ENTRIES, _entries(gone))
        db.exec_driver_sql(_DELETE, {"positions": array(activity.position for activity in gone)})


def add(db: Connection, new: Sequence[Activity]) -> None:
    """Put activities into the timelines; those that are there stay."""
    if new:
        db.exec_driver_sql(_INSERT, _ACTIVITIES.bound(map(_row, new)))
        db.exec_driver_sql(_INSERT_ENTRIES, _entries(new))


def _row(activity: Activity) -> Iterable[Any]:
    nobody = (None, None)
    return (
        activity.position, activity.occurred_at, activity.type, *(activity.actor or nobody), *activity.target,
        *(activity.detail or nobody), activity.amount, activity.currency,
    )  # fmt: skip


def _entries(found: Iterable[Activity]) -> dict[str, Any]:
    return _ENTRIES.bound((*line, one.occurred_at, one.position) for one in found for line in one.timelines)
