"""The tables that the code declares are those that the migrations make; other tables are made by migrations alone."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import psycopg
import pytest

from fundlyhub.database import METADATA
from fundlyhub.database.engines import make_engine
from fundlyhub.settings import BRANCHES, Branch, Settings
from tests.support import ROOT

# Where a schema holds more than tables, it is named here.
FUNCTIONS = {
    "events.insert_events", "events.publish_event", "analytics.search_query", "analytics.count_campaign_donor",
}  # fmt: skip
SEQUENCES = {"events.relay_sleep"}

COLUMNS = """
    SELECT n.nspname || '.' || c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
           a.attidentity::text, a.attgenerated::text, pg_get_expr(d.adbin, d.adrelid)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE c.relkind IN ('r', 'p', 'v', 'm') AND n.nspname = %s AND c.relname = ANY (%s) AND NOT c.relispartition
    ORDER BY 1, 2
"""
INDEXES = """
    SELECT pg_get_indexdef(i.indexrelid)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relname = ANY (%s) AND NOT c.relispartition ORDER BY 1
"""
CONSTRAINTS = """
    SELECT k.conrelid::regclass::text, k.conname, pg_get_constraintdef(k.oid)
    FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace JOIN pg_class c ON c.oid = k.conrelid
    WHERE n.nspname = %s AND c.relname = ANY (%s) AND NOT c.relispartition AND k.contype <> 'n'
    ORDER BY 1, 2
"""  # not null is a property of the columns, and on new servers a constraint as well
TABLES = """
    SELECT c.oid::regclass::text, quote_ident(min(a.attname))
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relkind IN ('r', 'p') AND c.relnamespace::regnamespace::text = ANY (%s) GROUP BY c.oid ORDER BY 1
"""
NAMES = {
    "functions": """SELECT n.nspname || '.' || p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
                    LEFT JOIN pg_depend d ON d.objid = p.oid AND d.deptype = 'e'
                    WHERE d.objid IS NULL AND n.nspname = ANY (%s)""",
    "sequences": """SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                    LEFT JOIN pg_depend d ON d.objid = c.oid AND d.deptype = 'i'
                    WHERE c.relkind = 'S' AND d.objid IS NULL AND n.nspname = ANY (%s)""",
}


def import_all_tables() -> None:
    """Load each module that speaks of the metadata, so that its tables are declared."""
    package = ROOT / "fundlyhub"
    for path in package.rglob("*.py"):
        if "metadata" in path.read_text() and "migrations" not in path.parts:
            import_module(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))


@pytest.fixture
def declared(empty_database: Callable[[], str]) -> str:
    """A database made from the declarations alone."""
    import_all_tables()
    dsn = empty_database()
    settings = Settings(events_dsn=dsn, app_dsn=dsn, analytics_dsn=dsn)
    for branch in METADATA:
        engine = make_engine(branch, settings, pooled=False)
        with engine.begin() as db:
            db.exec_driver_sql(f"CREATE SCHEMA {branch}")
            METADATA[branch].create_all(db)
    return dsn


def ask(dsn: str, query: str, *values: Any) -> list[Any]:
    with psycopg.connect(dsn) as db:
        db.execute("SET search_path = pg_catalog")
        return db.execute(query, values).fetchall()


@pytest.mark.parametrize("branch", METADATA)
@pytest.mark.parametrize("query", [COLUMNS, INDEXES, CONSTRAINTS], ids=["columns", "indexes", "constraints"])
def test_a_migrated_schema_is_the_declared_one(dsn: str, declared: str, query: str, branch: Branch) -> None:
    tables = list(METADATA[branch].tables)
    migrated = ask(dsn, query, branch, tables)
    assert migrated
    assert migrated == ask(declared, query, branch, tables)


@pytest.mark.parametrize(("kind", "expected"), [("functions", FUNCTIONS), ("sequences", SEQUENCES)])
def test_what_is_no_table_is_known_by_name(dsn: str, kind: str, expected: set[str]) -> None:
    assert {name for (name,) in ask(dsn, NAMES[kind], list(BRANCHES))} == expected


def test_nothing_of_ours_is_outside_our_schemas(dsn: str) -> None:
    """The databases belong to the business; we keep to our own schemas."""
    others = "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace"
    assert ask(dsn, others, "public") == []


def test_every_row_may_be_changed_where_all_tables_are_published(dsn: str) -> None:
    """Logical replication refuses to change or delete a row of a table that has no key to name the row by."""
    with psycopg.connect(dsn, autocommit=True) as db:
        db.execute("CREATE PUBLICATION everything FOR ALL TABLES")
        tables = db.execute(TABLES, (list(BRANCHES),)).fetchall()
        assert len(tables) > 30
        for table, column in tables:
            db.execute(f"DELETE FROM {table} WHERE false")
            db.execute(f"UPDATE {table} SET {column} = DEFAULT WHERE false")
