"""Replaces rows of live tables by rows of the same tables in another schema, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.sql import SQL, Composed, Identifier

# Generated columns follow from the others. A number that a table gives its rows by itself is given anew.
_COLUMNS = """
    SELECT attname, array_position(conkey, attnum) IS NOT NULL FROM pg_attribute
    LEFT JOIN pg_constraint ON conrelid = attrelid AND contype = 'p'
    WHERE attrelid = to_regclass(format('%%I.%%I', %s::text, %s::text)) AND attnum > 0 AND NOT attisdropped
      AND attgenerated = '' AND attidentity = ''
      AND pg_get_serial_sequence(format('%%I.%%I', %s::text, %s::text), attname) IS NULL
    ORDER BY attnum
"""


@dataclass(frozen=True, slots=True)
class Replaced:
    """Rows of a table that were taken away, and rows that were put there."""

    table: str
    removed: int
    put: int


def replaced(
    db: psycopg.Connection[Any], live: str, made: str, table: str, condition: str, given: Mapping[str, Any]
) -> Replaced:
    """Take away the live rows that meet a condition, and put those of the other schema that do in their place.

    A live row that has the key of one of these goes too, whatever it says: it was that row. The caller holds the lock.
    """
    names = (live, table, live, table)
    columns = db.execute(_COLUMNS, names).fetchall()
    known, key = [name for name, _ in columns], [name for name, is_key in columns if is_key]
    removed = db.execute(_delete(live, table, condition), given).rowcount
    if key:
        removed += db.execute(_delete_same(live, made, table, condition, key), given).rowcount
    put = db.execute(_insert(live, made, table, condition, known), given).rowcount
    return Replaced(table, removed, put)


def _delete(live: str, table: str, condition: str) -> Composed:
    return SQL("DELETE FROM {} AS one WHERE {}").format(Identifier(live, table), _of(condition, live))


def _delete_same(live: str, made: str, table: str, condition: str, key: list[str]) -> Composed:
    columns = SQL(", ").join(map(Identifier, key))
    return SQL("DELETE FROM {} AS one WHERE ({}) IN (SELECT {} FROM {} AS one WHERE {})").format(
        Identifier(live, table), columns, columns, Identifier(made, table), _of(condition, made)
    )


def _insert(live: str, made: str, table: str, condition: str, known: list[str]) -> Composed:
    columns = SQL(", ").join(map(Identifier, known))
    return SQL("INSERT INTO {} ({}) SELECT {} FROM {} AS one WHERE {}").format(
        Identifier(live, table), columns, columns, Identifier(made, table), _of(condition, made)
    )


def _of(condition: str, schema: str) -> SQL:
    """A condition of a processor, on rows of this schema."""
    return SQL("({})").format(SQL(condition.replace("{schema}", schema)))  # type: ignore[return-value]
