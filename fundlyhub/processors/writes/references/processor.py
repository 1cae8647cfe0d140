"""The processor of the reference read model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.database.arrays import array
from fundlyhub.events import Event
from fundlyhub.processing import WriteProcessor
from fundlyhub.processors.shared import last_writer_fields
from fundlyhub.processors.shared.entity_changes import payloads_of, told
from fundlyhub.processors.shared.last_writer_fields import Entity
from fundlyhub.processors.shared.visibility import DECIDING, shown

NAMES: Mapping[str, tuple[str, ...]] = {
    "user": ("name",),
    "campaign": ("title",),
    "organization": ("dba_name", "legal_name"),
    "project_update": ("title",),
}
"""The fields that may hold the name of an entity, the best first."""

MORE: Mapping[str, frozenset[str]] = {"campaign": frozenset({"owner_id", "slug", "currency"})}
"""Further fields that messages need."""

WANTED = {kind: DECIDING[kind] | {*names} | MORE.get(kind, frozenset()) for kind, names in NAMES.items()}


class Reference(NamedTuple):
    """A row of ``entities``, without its key."""

    name: str | None
    owner_id: UUID | None
    shown: bool


# Concurrent batches lock these rows: inserted where they are missing, then locked, always in one order.
_MAKE = """
    INSERT INTO entities (kind, id, shown)
    SELECT kind, id, false FROM unnest(%(kinds)s::text[], %(ids)s::uuid[]) AS given(kind, id)
    ORDER BY kind, id
    ON CONFLICT DO NOTHING
"""

_LOCK = """
    SELECT 1 FROM entities JOIN unnest(%(kinds)s::text[], %(ids)s::uuid[]) AS given(kind, id) USING (kind, id)
    ORDER BY kind, id
    FOR UPDATE OF entities
"""

_UPDATE = """
    UPDATE entities AS entity SET name = given.name, owner_id = given.owner_id, shown = given.shown
    FROM unnest(%(kinds)s::text[], %(ids)s::uuid[], %(names)s::text[], %(owners)s::uuid[], %(shown)s::boolean[])
        AS given(kind, id, name, owner_id, shown)
    WHERE entity.kind = given.kind AND entity.id = given.id
      AND (entity.name, entity.owner_id, entity.shown) IS DISTINCT FROM (given.name, given.owner_id, given.shown)
"""


class ReferenceWriteProcessor(WriteProcessor):
    """Names and visibility of users, campaigns, organizations and project updates, for feeds and messages."""

    handles = payloads_of(*NAMES)

    def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
        """Write the fields, and make the rows of the things they belong to anew."""
        writes = last_writer_fields.latest(told(events, WANTED))
        touched = sorted({entity for entity, _ in writes})
        if not touched:
            return
        db.exec_driver_sql(_MAKE, last_writer_fields.keys(touched))
        db.exec_driver_sql(_LOCK, last_writer_fields.keys(touched))
        last_writer_fields.write(db, writes)
        _update(db, {key: reference(key.kind, fields) for key, fields in last_writer_fields.read(db, touched).items()})


def reference(kind: str, fields: Mapping[str, Any]) -> Reference:
    """What other messages may say of an entity; one that may not be shown has no name in the table."""
    visible = shown(kind, fields)
    name = next((fields[field] for field in NAMES[kind] if fields.get(field)), None)
    owner = fields.get("owner_id")
    return Reference(name if visible else None, UUID(owner) if owner else None, visible)


def _update(db: Connection, rows: Mapping[Entity, Reference]) -> None:
    given: dict[str, Any] = {
        **last_writer_fields.keys(rows),
        "names": [row.name for row in rows.values()],
        "owners": array(row.owner_id for row in rows.values()),
        "shown": array(row.shown for row in rows.values()),
    }
    db.exec_driver_sql(_UPDATE, given)
