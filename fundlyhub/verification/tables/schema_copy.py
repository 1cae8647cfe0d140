"""Copies the tables, sequences and views of a schema into another one, without rows, as the catalog defines them.

Definitions are read with the live schema as the search_path, so that they name its relations without a schema, and run
with the copy before the live one: relations are then those of the copy, while functions, types and text search
configurations are the live ones.

A copy that lasts is logged, and its sequences belong to the columns that they belong to in the live schema.

Triggers and foreign keys are left out: they act on tables that no event fills, and may name the live schema. So are
gin and other indexes that only searches need. A partitioned table becomes a plain one, and a table that our role may
not read is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import TopologicalSorter
from typing import Any

import psycopg

_COPIED = """
    WITH copied AS (
        SELECT oid AS table_id, relname AS name FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
          AND has_table_privilege(oid, 'SELECT')
    )
"""
# Sequences of identity columns come with their tables.
_SEQUENCES = """
    SELECT format('CREATE {unlogged} SEQUENCE %I', relname) FROM pg_class AS sequence
    WHERE relnamespace = current_schema()::regnamespace AND relkind = 'S' AND NOT EXISTS (
        SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = sequence.oid AND deptype = 'i')
"""
_TABLES = """
    SELECT format('CREATE {unlogged} TABLE %1$I (LIKE %2$I.%1$I INCLUDING CONSTRAINTS INCLUDING GENERATED'
                  ' INCLUDING IDENTITY {more})', name, current_schema()) FROM copied
"""
_PASSING = {"{unlogged}": "UNLOGGED", "{more}": ""}
_LASTING = {"{unlogged}": "", "{more}": "INCLUDING COMMENTS INCLUDING STORAGE INCLUDING COMPRESSION"}
_DEFAULTS = """
    SELECT format('ALTER TABLE %I ALTER %I SET DEFAULT %s', name, attname, pg_get_expr(adbin, adrelid))
    FROM copied JOIN pg_attrdef ON adrelid = table_id JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
    WHERE attgenerated = ''
"""
_KEYS = """
    SELECT format('ALTER TABLE %I ADD CONSTRAINT %I %s', name, conname, pg_get_constraintdef(pg_constraint.oid))
    FROM copied JOIN pg_constraint ON conrelid = table_id WHERE contype IN ('p', 'u', 'x')
"""
_INDEXES = """
    SELECT pg_get_indexdef(indexrelid, 0, true)
    FROM copied JOIN pg_index ON indrelid = table_id JOIN pg_class ON pg_class.oid = indexrelid
         JOIN pg_am ON pg_am.oid = relam
    WHERE amname = 'btree'
      AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u', 'x'))
"""
_VIEWS = """
    SELECT quote_ident(relname), pg_get_viewdef(oid), ARRAY(
        SELECT DISTINCT quote_ident(used.relname)
        FROM pg_rewrite JOIN pg_depend ON classid = 'pg_rewrite'::regclass AND objid = pg_rewrite.oid
             JOIN pg_class AS used ON refclassid = 'pg_class'::regclass AND used.oid = refobjid
        WHERE ev_class = seen.oid AND used.oid <> seen.oid AND used.relkind = 'v'
          AND used.relnamespace = seen.relnamespace)
    FROM pg_class AS seen WHERE relnamespace = current_schema()::regnamespace AND relkind = 'v'
"""


_OPTIONS = """
    SELECT format('ALTER TABLE %I SET (%s)', name, (
        SELECT string_agg(format('%I = %L', option_name, option_value), ', ') FROM pg_options_to_table(reloptions)))
    FROM copied JOIN pg_class ON pg_class.oid = table_id WHERE reloptions IS NOT NULL AND relkind = 'r'
"""
_OWNED = """
    SELECT format('ALTER SEQUENCE %I OWNED BY %I.%I', sequence.relname, name, attname)
    FROM copied JOIN pg_depend ON refobjid = table_id AND refclassid = 'pg_class'::regclass
         JOIN pg_class AS sequence ON sequence.oid = objid AND classid = 'pg_class'::regclass AND relkind = 'S'
         JOIN pg_attribute ON attrelid = table_id AND attnum = refobjsubid
    WHERE deptype = 'a' AND sequence.relnamespace = current_schema()::regnamespace
"""


def copy_schema(db: psycopg.Connection[Any], live: str, copy: str, *, lasting: bool = False) -> list[str]:
    """Copy what is in the schema ``live`` into the schema ``copy``, which is there and empty; its tables, quoted.

    What is ``lasting`` outlives a crash of the server.
    """
    kind = _LASTING if lasting else _PASSING
    queries = [_SEQUENCES, *(_COPIED + part for part in (_TABLES, _DEFAULTS, _KEYS, _INDEXES))]
    if lasting:
        queries += [_COPIED + _OPTIONS, _COPIED + _OWNED]
    with db.transaction():
        db.execute(f"SET LOCAL search_path = {live}")
        definitions = [definition for query in queries for (definition,) in db.execute(_filled(query, kind))]
        tables = [table for (table,) in db.execute(f"{_COPIED} SELECT quote_ident(name) FROM copied")]  # noqa: S608 - constant
        views = {name: (definition, used) for name, definition, used in db.execute(_VIEWS)}
        db.execute(f"SET LOCAL search_path = {copy}, {live}")
        for definition in definitions:
            db.execute(definition)
        for name in TopologicalSorter({name: used for name, (_, used) in views.items()}).static_order():
            db.execute(f"CREATE VIEW {name} AS {views[name][0]}")
    return tables


def _filled(query: str, kind: Mapping[str, str]) -> str:
    for name, text in kind.items():
        query = query.replace(name, text)
    return query
