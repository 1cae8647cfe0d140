"""Last-writer-wins registers: the fields of users, campaigns and organizations, one row per field.

Each field remembers the clock of the event that wrote it, and a write with an older clock changes nothing. So
partial updates in any order, with any duplication, end in the same fields.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import Connection

from fundlyhub.database.arrays import Columns
from fundlyhub.events import Event


class Clock(NamedTuple):
    """The clock of an event: its time, and its position to order two events of one time."""

    occurred_at: datetime
    position: int

    @classmethod
    def of(cls, event: Event) -> Clock:
        """The clock of a published event."""
        assert event.position is not None
        return cls(event.timestamp, event.position)


class Entity(NamedTuple):
    """An entity; ``kind`` is user, campaign, organization, project_update, payout or bank_account."""

    kind: str
    id: UUID


class Write(NamedTuple):
    """A value, and the clock of the event that wrote it."""

    clock: Clock
    value: Any


Writes = Mapping[tuple[Entity, str], Write]
"""The writes of a batch, by entity and field: the latest of each."""


# The callers hold the lock on the entity's row in another table while its fields change.
_COLUMNS = Columns(kind="code", id="uuid", field="code", value="text", occurred_at="timestamptz", position="bigint")
_WRITE = f"""
    INSERT INTO entity_fields AS known ({_COLUMNS})
    SELECT kind, id, field, value::jsonb, occurred_at, position FROM {_COLUMNS.given}
    ORDER BY kind, id, field
    ON CONFLICT (kind, id, field) DO UPDATE
    SET value = excluded.value, occurred_at = excluded.occurred_at, position = excluded.position
    WHERE (known.occurred_at, known.position) < (excluded.occurred_at, excluded.position)
"""  # noqa: S608 - put together from constants

KEYS = Columns(kind="code", id="uuid")
"""Entities as rows of a statement."""
_READ = f"""
    SELECT kind, id, jsonb_object_agg(field, value) FROM entity_fields JOIN {KEYS.given} USING (kind, id)
    GROUP BY kind, id
"""  # noqa: S608


_EMPTY = f"""
    UPDATE entity_fields AS known SET value = 'null' FROM {_COLUMNS.given}
    WHERE known.kind = given.kind AND known.id = given.id AND known.field = given.field
      AND known.position = given.position
    RETURNING known.kind, known.id
"""  # noqa: S608
_READ_WRITES = """
    SELECT field, value, occurred_at, position FROM entity_fields WHERE kind = %(kind)s AND id = %(id)s
"""


def latest(said: Iterable[tuple[Entity, str, Write]]) -> Writes:
    """The latest write of each field."""
    kept: dict[tuple[Entity, str], Write] = {}
    for entity, field, write in said:
        before = kept.get((entity, field))
        if before is None or before.clock < write.clock:
            kept[entity, field] = write
    return kept


def write(db: Connection, writes: Writes) -> None:
    """Write the values that are newer than the stored ones; the caller holds the lock on each entity."""
    if writes:
        rows = ((*entity, field, orjson.dumps(value).decode(), *clock)
                for (entity, field), (clock, value) in writes.items())  # fmt: skip
        db.exec_driver_sql(_WRITE, _COLUMNS.bound(rows))


def empty(db: Connection, writes: Iterable[tuple[Entity, str, Write]]) -> set[Entity]:
    """Empty the values that these writes have set, and no others; the entities that had one."""
    rows = [(*entity, field, "null", *clock) for entity, field, (clock, _) in writes]
    return {Entity(*row) for row in db.exec_driver_sql(_EMPTY, _COLUMNS.bound(rows))} if rows else set()


def read(db: Connection, entities: Collection[Entity]) -> dict[Entity, dict[str, Any]]:
    """All known fields of these entities; one of which nothing is known has none."""
    found: dict[Entity, dict[str, Any]] = {entity: {} for entity in entities}
    if found:
        for kind, id_, fields in db.exec_driver_sql(_READ, KEYS.bound(found)).all():
            found[Entity(kind, id_)] = fields
    return found


def writes_of(db: Connection, entity: Entity) -> dict[str, Write]:
    """All known fields of one entity, each with its clock."""
    rows = db.exec_driver_sql(_READ_WRITES, {"kind": entity.kind, "id": entity.id}).all()
    return {field: Write(Clock(occurred_at, position), value) for field, value, occurred_at, position in rows}
