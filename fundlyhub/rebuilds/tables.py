"""Exchanges tables between the live schema and that of a rebuild, in the caller's transaction.

The same steps lead there and back. Indexes, constraints and sequences of their own go along with the tables. Views in
all schemas are made anew in their place, so that rights on them stay, and triggers and rights of the live tables are
copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.errors import LockNotAvailable, QueryCanceled
from psycopg.sql import SQL, Composable, Identifier

from fundlyhub.rebuilds.model import Rebuild
from fundlyhub.rebuilds.schema import copy_rights, execute_all

LONGEST_LOCKED = "10s"
"""Longest statement while tables are locked: all of them are short, and nobody is to wait for one that is not."""

# Views that read one of the tables, wherever they are; their definitions name what the search_path finds without a
# schema. Those that read only such views follow them by themselves.
_VIEWS = """
    SELECT DISTINCT format('%%I.%%I', home.nspname, view.relname),
           CASE WHEN view.reloptions IS NULL THEN '' ELSE ' WITH (' || (
               SELECT string_agg(format('%%I = %%L', option_name, option_value), ', ')
               FROM pg_options_to_table(view.reloptions)) || ')' END,
           pg_get_viewdef(view.oid)
    FROM pg_depend JOIN pg_rewrite ON classid = 'pg_rewrite'::regclass AND pg_rewrite.oid = objid
         JOIN pg_class AS view ON view.oid = ev_class AND view.relkind = 'v'
         JOIN pg_namespace AS home ON home.oid = view.relnamespace
         JOIN pg_class AS used ON refclassid = 'pg_class'::regclass AND used.oid = refobjid
    WHERE used.relnamespace = %(schema)s::regnamespace AND used.relname = ANY (%(tables)s)
    ORDER BY 1
"""
_TRIGGERS = """
    SELECT pg_get_triggerdef(one.oid) FROM pg_trigger AS one JOIN pg_class ON pg_class.oid = one.tgrelid
    WHERE relnamespace = %(live)s::regnamespace AND relname = ANY (%(tables)s) AND NOT one.tgisinternal
      AND NOT EXISTS (
          SELECT FROM pg_trigger AS other
          WHERE other.tgname = one.tgname AND other.tgrelid = to_regclass(format('%%I.%%I', %(other)s::text, relname)))
"""
_NUMBERS = """
    SELECT setval(ours, (SELECT max(coalesce(last_value, start_value)) FROM pg_sequences
                         WHERE format('%%I.%%I', schemaname, sequencename) IN (ours, theirs)))
    FROM (
        SELECT pg_get_serial_sequence(format('%%I.%%I', %(live)s::text, relname), attname) AS ours,
               pg_get_serial_sequence(format('%%I.%%I', %(other)s::text, relname), attname) AS theirs
        FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
        WHERE relnamespace = %(live)s::regnamespace AND relname = ANY (%(tables)s) AND attnum > 0 AND NOT attisdropped
    ) AS pairs
    WHERE ours IS NOT NULL AND theirs IS NOT NULL
"""
_SHAPES = """
    SELECT relname FROM (
        SELECT relname, relnamespace, array_agg((attname, atttypid, atttypmod, attnotnull, attcollation)
                                                ORDER BY attnum) AS shape
        FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
        WHERE relnamespace IN (%(live)s::regnamespace, %(other)s::regnamespace) AND relname = ANY (%(tables)s)
          AND attnum > 0 AND NOT attisdropped
        GROUP BY relname, relnamespace
    ) AS seen
    GROUP BY relname HAVING count(*) <> 2 OR min(shape::text) <> max(shape::text) ORDER BY relname
"""
_INDEXES = """
    SELECT format('CREATE %%sINDEX %%I ON %%I.%%I USING %%s', CASE WHEN indisunique THEN 'UNIQUE ' ELSE '' END,
                  made.relname, %(other)s::text, told.relname,
                  substring(pg_get_indexdef(indexrelid) FROM ' USING (.*)$'))
    FROM pg_index JOIN pg_class AS told ON told.oid = indrelid JOIN pg_class AS made ON made.oid = indexrelid
    WHERE told.relnamespace = %(live)s::regnamespace AND told.relname = ANY (%(tables)s)
      AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u', 'x'))
      AND to_regclass(format('%%I.%%I', %(other)s::text, made.relname)) IS NULL
    ORDER BY made.relname
"""


def lock(db: psycopg.Connection[Any], one: Rebuild, seconds: float) -> None:
    """Lock the live tables, and the views that read them, against readers and writers.

    Views come first, as a reader of one locks it before its tables. Raises psycopg.errors.LockNotAvailable when all
    locks together took longer than this: it must be less than the server's ``deadlock_timeout``, after which a reader
    might be the one that fails.
    """
    views = [SQL(name) for name, _, _ in _views(db, one.branch, one.branch, one)]
    lock_all(db, [*views, *(Identifier(one.branch, name) for name in sorted(one.tables))], seconds)


def lock_all(db: psycopg.Connection[Any], relations: Sequence[Composable], seconds: float) -> None:
    """Lock relations against readers and writers, one after the other, in one statement: each round trip counts.

    Raises psycopg.errors.LockNotAvailable when all of them together took longer than this.
    """
    limit = round(seconds * 1_000)
    db.execute(f"SET LOCAL statement_timeout = {limit}; SET LOCAL lock_timeout = {limit}")
    try:
        db.execute(SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(SQL(", ").join(relations)))
    except QueryCanceled:
        raise LockNotAvailable("all locks together took too long") from None
    db.execute(f"SET LOCAL statement_timeout = '{LONGEST_LOCKED}'")


def changed_shapes(db: psycopg.Connection[Any], one: Rebuild) -> list[str]:
    """The tables whose columns are not those of the live ones, for instance since a migration came in between."""
    return [name for (name,) in db.execute(_SHAPES, _given(one))]


def build_indexes(db: psycopg.Connection[Any], one: Rebuild) -> int:
    """Make the indexes that the live tables have and the rebuilt ones lack; how many."""
    missing = db.execute(_INDEXES, _given(one)).fetchall()
    for (statement,) in missing:
        db.execute(statement)
    return len(missing)


def exchange(db: psycopg.Connection[Any], one: Rebuild) -> None:
    """Exchange the tables, which are locked. Afterwards the rebuild's schema has those that were live."""
    live, beside, passing = one.branch, one.schema, f"{one.schema}_x"
    paths = {live: live, beside: f"{beside}, {live}"}
    views = {path: _views(db, schema, path, one) for schema, path in paths.items()}
    triggers = db.execute(_TRIGGERS, _given(one)).fetchall()
    move = SQL("ALTER TABLE {} SET SCHEMA {}")
    moves = [
        move.format(Identifier(source, name), Identifier(target))
        for source, target in ((beside, passing), (live, beside), (passing, live))
        for name in one.tables
    ]
    names = {"passing": Identifier(passing), "moves": SQL("; ").join(moves)}
    db.execute(SQL("CREATE SCHEMA {passing}; {moves}; DROP SCHEMA {passing}").format(**names))
    copy_rights(db, beside, live, one.tables)
    execute_all(db, [definition for (definition,) in triggers])
    for path, some in views.items():
        made = [f"CREATE OR REPLACE VIEW {name}{options} AS {text.rstrip(';')}" for name, options, text in some]
        execute_all(db, [f"SET LOCAL search_path = {path}", *made])
    db.execute(_NUMBERS, _given(one))


def _views(db: psycopg.Connection[Any], schema: str, path: str, one: Rebuild) -> list[tuple[str, str, str]]:
    db.execute(f"SET LOCAL search_path = {path}")
    found = db.execute(_VIEWS, {"schema": schema, "tables": list(one.tables)}).fetchall()
    db.execute(f"SET LOCAL search_path = {one.schema}, {one.branch}")  # a replay in this transaction rests on it
    return found


def _given(one: Rebuild) -> dict[str, Any]:
    return {"live": one.branch, "other": one.schema, "tables": list(one.tables)}
