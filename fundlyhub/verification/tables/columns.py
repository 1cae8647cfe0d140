"""Reads from the database which columns of a table are compared, which make its key, and which may be shown."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection

from fundlyhub.processing import DerivedTable

_COLUMNS = """
    SELECT attname, atttypid IN ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype),
           array_position(conkey, attnum)
    FROM pg_attribute LEFT JOIN pg_constraint ON conrelid = attrelid AND contype = 'p'
    WHERE attrelid = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text)) AND attnum > 0
      AND NOT attisdropped ORDER BY attnum
"""


class Comparison(NamedTuple):
    """How a table is compared: its rows are matched by ``key``, and differ if one of ``columns`` does."""

    processor: str
    table: DerivedTable
    source: str
    """The table or view that is read."""
    key: tuple[str, ...]
    columns: tuple[str, ...]
    shown: frozenset[str]
    """Columns whose values a finding may show: they hold no personal text."""


def comparison(db: Connection, schema: str, processor: str, table: DerivedTable) -> Comparison | None:
    """How this table is compared; None when the schema has no such table, or the table no key."""
    source = table.read_from or table.name
    columns = {column: whole for column, whole, _ in _columns(db, schema, source)}
    places = {place: column for column, _, place in _columns(db, schema, table.name) if place}
    key = tuple(table.key) or tuple(places[place] for place in sorted(places))
    if not key or not columns.keys() >= {*key}:
        return None
    whole_numbers = {column for column, whole in columns.items() if whole}
    compared = tuple(column for column in columns if column not in key and column not in table.ignored)
    return Comparison(processor, table, source, key, compared, frozenset(whole_numbers | {*table.shown}))


def _columns(db: Connection, schema: str, name: str) -> list[tuple[str, bool, int | None]]:
    """A relation's columns, whether each holds whole numbers, and its place in the primary key."""
    rows = db.exec_driver_sql(_COLUMNS, {"schema": schema, "name": name})
    return [(name, whole, place) for name, whole, place in rows]
