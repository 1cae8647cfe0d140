"""The processor of the reference read model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.database.arrays import Columns
from fundlyhub.events import Event
from fundlyhub.processing import AggregateRows, DerivedTable, WriteProcessor
from fundlyhub.processors.shared import last_writer_fields
from fundlyhub.processors.shared.entity_changes import erasures, payloads_of, told
from fundlyhub.processors.shared.last_writer_fields import KEYS, Entity
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

_OF_ONE = f"kind IN ({', '.join(repr(kind) for kind in NAMES)}) AND id = %(id)s"
"""The rows of one entity, whichever kind of thing it is: both tables have an index of kind and id."""


class Reference(NamedTuple):
    """A row of ``entities``, without its key."""

    name: str | None
    owner_id: UUID | None
    shown: bool


# Concurrent batches lock these rows: inserted where they are missing, then locked, always in one order.
_MAKE = f"""
    INSERT INTO entities (kind, id, shown) SELECT kind, id, false FROM {KEYS.given} ORDER BY kind, id
    ON CONFLICT DO NOTHING
"""  # noqa: S608 - put together from constants
_LOCK = f"""
    SELECT 1 FROM entities JOIN {KEYS.given} USING (kind, id) ORDER BY kind, id FOR UPDATE OF entities
"""  # noqa: S608

_COLUMNS = Columns("kind", "id", kind="code", id="uuid", name="text", owner_id="uuid", shown="boolean")
_UPDATE = f"""
    UPDATE entities AS entity SET {_COLUMNS.assigned} FROM {_COLUMNS.given}
    WHERE entity.kind = given.kind AND entity.id = given.id
      AND (entity.name, entity.owner_id, entity.shown) IS DISTINCT FROM (given.name, given.owner_id, given.shown)
"""  # noqa: S608


class ReferenceWriteProcessor(WriteProcessor):
    """Names and visibility of users, campaigns, organizations and project updates, for feeds and messages."""

    aggregate_rows = AggregateRows(dict.fromkeys(("entities", "entity_fields"), _OF_ONE))
    handles = payloads_of(*NAMES)
    tables = ("entities", DerivedTable("entity_fields", where="kind NOT IN ('contact', 'payout', 'bank_account')"))

    def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
        """Write the fields, and make the rows of the things they belong to anew."""
        writes = last_writer_fields.latest(told(events, WANTED))
        touched = sorted({entity for entity, _ in writes})
        if not touched:
            return
        db.exec_driver_sql(_MAKE, KEYS.bound(touched))
        db.exec_driver_sql(_LOCK, KEYS.bound(touched))
        last_writer_fields.write(db, writes)
        _refresh(db, touched)

    @classmethod
    def erase(cls, events: Sequence[Event], db: Connection) -> None:
        """Empty what was erased, and make the rows of the things that it belonged to anew."""
        gone = list(erasures(events, WANTED))
        touched = sorted({entity for entity, _, _ in gone})
        if touched:
            db.exec_driver_sql(_LOCK, KEYS.bound(touched))
            last_writer_fields.empty(db, gone)
            _refresh(db, touched)


def _refresh(db: Connection, touched: Sequence[Entity]) -> None:
    rows = [(*one, *reference(one.kind, said)) for one, said in last_writer_fields.read(db, touched).items()]
    db.exec_driver_sql(_UPDATE, _COLUMNS.bound(rows))


def reference(kind: str, fields: Mapping[str, Any]) -> Reference:
    """What other messages may say of an entity; one that may not be shown has no name in the table."""
    visible = shown(kind, fields)
    name = next((fields[field] for field in NAMES[kind] if fields.get(field)), None)
    owner = fields.get("owner_id")
    return Reference(name if visible else None, UUID(owner) if owner else None, visible)
