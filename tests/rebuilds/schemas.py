"""The schemas that rebuilds have left in a database, and whether each of them belongs to one."""

from __future__ import annotations

import psycopg

from fundlyhub.settings import get_settings

_SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname ~ '^(rebuild|verify)_' ORDER BY 1"
_OWNERS = """
    SELECT schema_name FROM analytics.rebuilds WHERE state <> 'dropped' UNION ALL
    SELECT schema_name FROM app.rebuilds WHERE state <> 'dropped' ORDER BY 1
"""


def schemas(dsn: str | None = None) -> list[str]:
    """Those that are there."""
    return _names(_SCHEMAS, dsn)


def owned(dsn: str | None = None) -> bool:
    """Whether they are those of the rebuilds whose tables are there, each of one."""
    return schemas(dsn) == _names(_OWNERS, dsn)


def _names(query: str, dsn: str | None) -> list[str]:
    with psycopg.connect(dsn or get_settings().dsn("events"), autocommit=True) as db:
        return [name for (name,) in db.execute(query)]
