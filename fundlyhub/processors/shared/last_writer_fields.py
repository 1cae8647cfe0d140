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
from sqlalchemy import BigInteger, Column, Connection, MetaData, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

from fundlyhub.database.arrays import Array, array
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


def entity_fields(metadata: MetaData) -> Table:
    """The table of the registers, in one of our databases."""
    return Table(
        "entity_fields",
        metadata,
        Column("kind", Text, primary_key=True),
        Column("id", Uuid, primary_key=True),
        Column("field", Text, primary_key=True),
        Column("value", JSONB, nullable=False),
        Column("occurred_at", TIMESTAMP(timezone=True), nullable=False),
        Column("position", BigInteger, nullable=False),
    )


# The callers hold the lock on the entity's row in another table while its fields change.
_WRITE = """
    INSERT INTO entity_fields AS known (kind, id, field, value, occurred_at, position)
    SELECT kind, id, field, value::jsonb, occurred_at, position
    FROM unnest(%(kinds)s::text[], %(ids)s::uuid[], %(fields)s::text[], %(values)s::text[],
                %(times)s::timestamptz[], %(positions)s::bigint[])
        AS given(kind, id, field, value, occurred_at, position)
    ORDER BY kind, id, field
    ON CONFLICT (kind, id, field) DO UPDATE
    SET value = excluded.value, occurred_at = excluded.occurred_at, position = excluded.position
    WHERE (known.occurred_at, known.position) < (excluded.occurred_at, excluded.position)
"""

_READ = """
    SELECT kind, id, jsonb_object_agg(field, value)
    FROM entity_fields JOIN unnest(%(kinds)s::text[], %(ids)s::uuid[]) AS given(kind, id) USING (kind, id)
    GROUP BY kind, id
"""


_READ_WRITES = """
    SELECT field, value, occurred_at, position FROM entity_fields WHERE kind = %(kind)s AND id = %(id)s
"""


def keys(entities: Collection[Entity]) -> dict[str, Array]:
    """Entities as the arrays ``kinds`` and ``ids``, for unnest."""
    return {"kinds": array(entity.kind for entity in entities), "ids": array(entity.id for entity in entities)}


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
    if not writes:
        return
    given = {
        **keys([entity for entity, _ in writes]),
        "fields": array(field for _, field in writes),
        # Values may hold any text: psycopg quotes them.
        "values": [orjson.dumps(said.value).decode() for said in writes.values()],
        "times": array(said.clock.occurred_at for said in writes.values()),
        "positions": array(said.clock.position for said in writes.values()),
    }
    db.exec_driver_sql(_WRITE, given)


def read(db: Connection, entities: Collection[Entity]) -> dict[Entity, dict[str, Any]]:
    """All known fields of these entities; one of which nothing is known has none."""
    found: dict[Entity, dict[str, Any]] = {entity: {} for entity in entities}
    if found:
        for kind, id_, fields in db.exec_driver_sql(_READ, keys(found)).all():
            found[Entity(kind, id_)] = fields
    return found


def writes_of(db: Connection, entity: Entity) -> dict[str, Write]:
    """All known fields of one entity, each with its clock."""
    rows = db.exec_driver_sql(_READ_WRITES, {"kind": entity.kind, "id": entity.id}).all()
    return {field: Write(Clock(occurred_at, position), value) for field, value, occurred_at, position in rows}
