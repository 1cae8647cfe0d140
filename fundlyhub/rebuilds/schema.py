"""The schema of a rebuild: made with copies of the live tables and their rights, and opened for a replay."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import Connection

from fundlyhub.database.engines import make_engine
from fundlyhub.errors import Unavailable
from fundlyhub.rebuilds.model import Rebuild
from fundlyhub.settings import Branch, Settings
from fundlyhub.verification.tables.schema_copy import copy_schema
from fundlyhub.verification.tables.shadow import Beside, driver_of

_USAGE = """
    SELECT format('GRANT USAGE ON SCHEMA %%I TO %%s', %(to)s::text,
                  CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END)
    FROM pg_namespace, aclexplode(nspacl) WHERE nspname = %(from)s AND privilege_type = 'USAGE' AND grantee <> nspowner
"""
# Of tables, views and sequences of one name in both schemas; rights on columns too.
_RIGHTS = """
    WITH same AS (
        SELECT one.oid AS id, one.relname AS name, one.relkind AS kind, one.relowner AS owner, one.relacl AS acl
        FROM pg_class AS one JOIN pg_class AS other ON other.relname = one.relname AND other.relkind <> 'i'
        WHERE one.relnamespace = %(from)s::regnamespace AND other.relnamespace = %(to)s::regnamespace
          AND one.relkind IN ('r', 'p', 'v', 'S') AND (%(only)s::text[] IS NULL OR one.relname = ANY (%(only)s))
    ), told AS (
        SELECT name, kind, owner, NULL::text AS attribute, acl FROM same
        UNION ALL
        SELECT name, kind, owner, quote_ident(attname), attacl FROM same JOIN pg_attribute ON attrelid = id
        WHERE attnum > 0 AND NOT attisdropped
    )
    SELECT format('GRANT %%s%%s ON %%s %%I.%%I TO %%s%%s', privilege_type, ' (' || attribute || ')',
                  CASE WHEN kind = 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, %(to)s::text, name,
                  CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
                  CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
    FROM told, aclexplode(acl) WHERE grantee <> owner
"""
_OWNERS = """
    SELECT format('ALTER TABLE %%I.%%I OWNER TO %%I', %(to)s::text, one.relname, pg_get_userbyid(one.relowner))
    FROM pg_class AS one JOIN pg_class AS other ON other.relname = one.relname AND other.relkind = 'r'
    WHERE one.relnamespace = %(from)s::regnamespace AND other.relnamespace = %(to)s::regnamespace
      AND one.relowner <> other.relowner AND one.relname = ANY (%(only)s)
"""


def make(db: psycopg.Connection[Any], live: Branch, name: str, tables: Sequence[str]) -> None:
    """Make the schema, with empty copies of all that is in the live one, in the caller's transaction."""
    try:
        db.execute(f"CREATE SCHEMA {name}")
    except InsufficientPrivilege:
        raise Unavailable(f"the {live} database lets our role make no schema: run it as the owner's role") from None
    copy_schema(db, live, name, lasting=True)
    given = {"from": live, "to": name, "only": list(tables)}
    for (statement,) in db.execute(_OWNERS, given).fetchall():
        db.execute(statement)
    for (statement,) in db.execute(_USAGE, given).fetchall():
        db.execute(statement)
    copy_rights(db, live, name, None)


def copy_rights(db: psycopg.Connection[Any], source: str, target: str, tables: Sequence[str] | None) -> None:
    """Grant on tables, views and sequences of a schema what is granted on those of the same names in another one."""
    given = {"from": source, "to": target, "only": list(tables) if tables is not None else None}
    execute_all(db, [statement for (statement,) in db.execute(_RIGHTS, given).fetchall()])


def execute_all(db: psycopg.Connection[Any], statements: Sequence[str]) -> None:
    """Run statements in one round trip: tables may be locked meanwhile."""
    if statements:
        db.execute("; ".join(statements).encode())


class OpenSchema(Beside):
    """The schema of a rebuild, opened: its connection sees it first, in each transaction of ``transaction``."""

    def __init__(self, one: Rebuild, db: Connection) -> None:
        self.branch, self.name, self.db = one.branch, one.schema, db

    @staticmethod
    @contextmanager
    def bare(db: Connection) -> Iterator[psycopg.Connection[Any]]:
        """A transaction that sees the live schema alone."""
        with db.begin():
            yield driver_of(db)

    @contextmanager
    def transaction(self, *, of_one_moment: bool = False) -> Iterator[psycopg.Connection[Any]]:
        """A transaction on the driver's connection, which is that of ``db``.

        ``of_one_moment`` lets all its statements see the same, and those of later transactions of ``db`` too.
        """
        if of_one_moment:
            self.db.execution_options(isolation_level="REPEATABLE READ")
        with self.db.begin():
            self.db.exec_driver_sql(f"SET LOCAL search_path = {self.name}, {self.branch}")
            yield self.driver


@contextmanager
def connected(settings: Settings, branch: Branch) -> Iterator[tuple[Connection, Connection]]:
    """Connections to a database and to the log; that to the log commits each statement."""
    effects, log = make_engine(branch, settings, pooled=False), make_engine("events", settings, pooled=False)
    with effects.connect() as db, log.connect() as events:
        yield db, events.execution_options(isolation_level="AUTOCOMMIT")
