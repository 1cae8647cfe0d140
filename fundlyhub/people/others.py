"""Tables of other packages: their columns are classified where they are declared, by ``Column(info=…)``.

::

    from sqlalchemy import Column, Table, Text, Uuid

    from fundlyhub import app_metadata

    praises = Table(
        "praises", app_metadata,
        Column("user_id", Uuid, primary_key=True),
        Column("words", Text, info={"personal": "text", "whose": "user_id"}),
        Column("kind", Text, info={"personal": None}),
    )
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import JSON, Column, LargeBinary, MetaData, String, Table
from sqlalchemy.types import ARRAY

from fundlyhub.database import analytics_metadata, app_metadata
from fundlyhub.settings import Branch

METADATA: tuple[tuple[Branch, MetaData], ...] = (("app", app_metadata), ("analytics", analytics_metadata))
_TEXTS = (String, JSON, LargeBinary, ARRAY)


class Declared(NamedTuple):
    """A column of another package's table. ``what`` is None if it is not classified, ``whose`` if nothing says it."""

    branch: Branch
    table: str
    column: str
    what: str | None
    whose: str | None
    nullable: bool


def declared() -> Iterator[Declared]:
    """The columns that are personal or not classified."""
    for branch, metadata in METADATA:
        for table in metadata.sorted_tables:
            for column in table.columns:
                yield from _one(branch, table, column)


def _one(branch: Branch, table: Table, column: Column[object]) -> Iterator[Declared]:
    info = column.info
    if "personal" in info:
        if info["personal"] is not None:
            nullable = bool(column.nullable)
            yield Declared(branch, table.name, column.name, info["personal"], info.get("whose"), nullable)
    elif isinstance(column.type, _TEXTS):
        yield Declared(branch, table.name, column.name, None, None, bool(column.nullable))
