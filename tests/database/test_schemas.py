"""What the migrations make beside tables, and what holds for every table."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from fundlyhub.settings import BRANCHES

# Where a schema holds more than tables, it is named here.
FUNCTIONS = {
    *(f"{branch}.{name}" for branch in BRANCHES
      for name in ("stamp_account", "make_claims_partition", "drop_claims_partition")),
    "events.insert_events", "events.publish_event", "events.append_events", "events.is_plain",
    "events.checked_payload", "events.without_keys", "events.secret_names", "events.check_types", "events.look_closer",
    "events.redact", "events.redact_correction", "events.rename_archive", "events.only_erased", "events.check_erased",
    "analytics.search_query", "analytics.count_campaign_donor", "app.end_rebuild", "analytics.end_rebuild",
}  # fmt: skip
SEQUENCES = {"events.relay_sleep", "events.closer_look"}

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


def ask(dsn: str, query: str, *values: Any) -> list[Any]:
    with psycopg.connect(dsn) as db:
        db.execute("SET search_path = pg_catalog")
        return db.execute(query, values).fetchall()


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
