"""The tables of the reference read model."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Table, Text, Uuid

from fundlyhub.database import app_metadata
from fundlyhub.processors import registers

entity_fields = registers.entity_fields(app_metadata)

# One row per thing that was ever heard of; made from its fields by whoever holds the lock on this row. `name` is
# null as long as it is unknown, or is nobody's business; `shown` tells whether everybody may see it.
entities = Table(
    "entities",
    app_metadata,
    Column("kind", Text, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("name", Text),
    Column("owner_id", Uuid),
    Column("shown", Boolean, nullable=False),
)
