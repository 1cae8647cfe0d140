"""Removes former versions of rows from the tables of an erasure, and from their indexes."""

from __future__ import annotations

from collections.abc import Mapping
from logging import getLogger
from typing import Any

import psycopg
from psycopg import sql

from fundlyhub.people.columns import TABLES

_OWNS = "SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = %s"


log = getLogger(__name__)


def vacuum(databases: Mapping[str, psycopg.Connection[Any]]) -> None:
    """Vacuum each table that has personal columns. They are autocommit connections.

    Before PostgreSQL 17 only the owner may: another role leaves former versions to the server's own cleaning.
    """
    for schema, db in databases.items():
        db.execute("SET statement_timeout = 0")
        if db.info.server_version < 170_000 and db.execute(_OWNS, (schema,)).fetchone() != (True,):
            log.warning("%s: only the owner may vacuum before PostgreSQL 17: former rows go with autovacuum", schema)
            continue
        for table, columns in TABLES[schema].items():
            if columns.personal:
                db.execute(sql.SQL("VACUUM {}").format(sql.Identifier(schema, table)))
