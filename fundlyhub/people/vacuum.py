"""Removes former versions of rows from the tables of an erasure, and from their indexes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import sql

from fundlyhub.people.columns import TABLES


def vacuum(databases: Mapping[str, psycopg.Connection[Any]]) -> None:
    """Vacuum each table that has personal columns. They are autocommit connections."""
    for schema, db in databases.items():
        db.execute("SET statement_timeout = 0")
        for table, columns in TABLES[schema].items():
            if columns.personal:
                db.execute(sql.SQL("VACUUM {}").format(sql.Identifier(schema, table)))
