"""SQL on activities and timelines: remove and add."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from logging import getLogger
from typing import Any

from sqlalchemy import Connection

from fundlyhub.database.arrays import Columns
from fundlyhub.processors.shared.last_writer_fields import Entity
from fundlyhub.processors.writes.activity_feed.activities import Activity

log = getLogger(__name__)

_ACTIVITIES = Columns(
    position="bigint", event_id="uuid", occurred_at="timestamptz", type="code", actor_kind="code", actor_id="uuid",
    target_kind="code", target_id="uuid", detail_kind="code", detail_id="uuid", amount="numeric", currency="code",
)  # fmt: skip
_ENTRIES = Columns(kind="code", id="uuid", occurred_at="timestamptz", position="bigint")

_EVENTS = Columns(position="bigint", event_id="uuid")
# A row of an older release names no event; one of another event is another activity.
_DELETE = f"""
    DELETE FROM activities AS known USING {_EVENTS.given}
    WHERE known.position = given.position
      AND (known.event_id = given.event_id OR known.event_id IS NULL OR given.event_id IS NULL)
    RETURNING known.position
"""  # noqa: S608 - put together from constants
# What stands at these positions and is of other events.
_OTHERS = f"""
    SELECT {", ".join(f"known.{name}" for name in str(_ACTIVITIES).split(", "))}
    FROM activities AS known JOIN {_ACTIVITIES.given} USING (position)
    WHERE CASE WHEN known.event_id IS NULL
               THEN (known.occurred_at, known.type, known.target_id)
                    IS DISTINCT FROM (given.occurred_at, given.type, given.target_id)
               ELSE known.event_id <> given.event_id END
"""  # noqa: S608
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
        rows = db.exec_driver_sql(_DELETE, _EVENTS.bound((activity.position, activity.event_id) for activity in gone))
        there = set(rows.scalars())
        db.exec_driver_sql(_DELETE_ENTRIES, _entries(activity for activity in gone if activity.position in there))


def add(db: Connection, new: Sequence[Activity]) -> None:
    """Put activities into the timelines; those that are there stay.

    An activity of another event gives way: that event is not in the log any more, which has used its position again.
    """
    if new:
        rows = _ACTIVITIES.bound(map(_row, new))
        if db.exec_driver_sql(_INSERT, rows).rowcount < len(new) and (others := _others(db, new)):
            log.warning("%d activities were of other events (a restored log?): they give way", len(others))
            remove(db, others)
            db.exec_driver_sql(_INSERT, rows)
        db.exec_driver_sql(_INSERT_ENTRIES, _entries(new))


def _others(db: Connection, new: Sequence[Activity]) -> list[Activity]:
    found = []
    for row in db.exec_driver_sql(_OTHERS, _ACTIVITIES.bound(map(_row, new))).all():
        position, event_id, occurred_at, kind, *parts, amount, currency = row
        actor, target, detail = (Entity(*parts[at : at + 2]) if parts[at] else None for at in (0, 2, 4))
        assert target is not None
        found.append(Activity(position, event_id, occurred_at, kind, actor, target, detail, amount, currency))
    return found


def _row(activity: Activity) -> Iterable[Any]:
    nobody = (None, None)
    return (
        activity.position, activity.event_id, activity.occurred_at, activity.type, *(activity.actor or nobody),
        *activity.target, *(activity.detail or nobody), activity.amount, activity.currency,
    )  # fmt: skip


def _entries(found: Iterable[Activity]) -> dict[str, Any]:
    return _ENTRIES.bound((*line, one.occurred_at, one.position) for one in found for line in one.timelines)
