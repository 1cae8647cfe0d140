"""The tables of the reference read model."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Table, Text, Uuid

from fundlyhub.database import app_metadata
from fundlyhub.processors.shared import last_writer_fields

entity_fields = last_writer_fields.entity_fields(app_metadata)

# One row per entity that an event has named, computed from its fields under the lock on this row. `name` is null while
# it is unknown or may not be shown; `shown` says whether the entity is public.
entities = Table(
    "entities",
    app_metadata,
    Column("kind", Text, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("name", Text),
    Column("owner_id", Uuid),
    Column("shown", Boolean, nullable=False),
)
