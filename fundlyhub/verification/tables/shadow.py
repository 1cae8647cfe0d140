"""The shadow schema, in which processors' tables are made anew beside the live ones; dropped at the end.

Its connection finds tables, views and sequences of this schema before those of the live one, of which it has copies
(schema_copy.py). A killed verification leaves its schema behind; its lock is free then, and the next verification
drops it.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import psycopg
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import Connection

from fundlyhub.database import connect
from fundlyhub.database.engines import make_engine
from fundlyhub.errors import Unavailable
from fundlyhub.settings import Branch, Settings
from fundlyhub.verification.tables.schema_copy import copy_schema

LONGEST = "6h"
"""The longest statement: comparing all rows of a large table takes its time."""
_MARK = "fundlyhub verify: goes when the verification ends"
_LOCK_CLASS = 0x766679  # "vfy"

_LEFT_OVER = f"""
    SELECT nspname FROM pg_namespace AS schema
    WHERE nspname ~ '^verify_[0-9a-f]{{12}}$' AND obj_description(schema.oid, 'pg_namespace') = '{_MARK}'
      AND pg_try_advisory_lock({_LOCK_CLASS}, hashtext(nspname))
"""  # noqa: S608 - put together from constants
_LOCK = f"SELECT pg_advisory_lock({_LOCK_CLASS}, hashtext(%s))"
# A transaction that writes a row, or locks it, holds a lock on its table until it ends or is rolled back.
_WRITTEN_ELSEWHERE = """
    SELECT string_agg(DISTINCT format('%%I.%%I', nspname, relname), ', ')
    FROM pg_locks JOIN pg_class ON pg_class.oid = relation JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE pid = pg_backend_pid() AND mode <> 'AccessShareLock' AND relkind NOT IN ('i', 'I')
      AND nspname <> %(shadow)s AND nspname NOT LIKE 'pg\\_%%'
      AND NOT (mode = 'AccessExclusiveLock' AND %(locked)s)
      AND NOT (nspname = %(live)s AND relname IN ('rebuilds', 'rebuild_ranges', 'rebuild_findings'))
"""


def driver_of(db: Connection) -> psycopg.Connection[Any]:
    """The driver's connection of a connection that is open."""
    driver = db.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver


class Beside:
    """A schema beside the live one. ``db`` sees it first; ``name`` is what it is called."""

    branch: Branch
    name: str
    db: Connection
    locked = False
    """Whether this transaction itself has locked tables of other schemas against everybody."""

    @property
    def driver(self) -> psycopg.Connection[Any]:
        """The driver's connection, which is that of ``db``."""
        return driver_of(self.db)

    def written_elsewhere(self) -> str | None:
        """The tables of other schemas that the open transaction has written, or locked rows of."""
        given = {"shadow": self.name, "live": self.branch, "locked": self.locked}
        written: str | None = self.db.exec_driver_sql(_WRITTEN_ELSEWHERE, given).scalar_one()
        return written


class Shadow(Beside):
    """The schema of one verification in one database. ``db`` sees it first; ``name`` is what it is called."""

    def __init__(self, branch: Branch, settings: Settings) -> None:
        self.branch, self.name = branch, f"verify_{uuid4().hex[:12]}"
        self._settings = settings

    def __enter__(self) -> Self:
        self._keeper = connect(self.branch, settings=self._settings, autocommit=True, session=True)
        try:
            for (schema,) in self._keeper.execute(_LEFT_OVER).fetchall():
                self._keeper.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
            self._keeper.execute(_LOCK, (self.name,))
            self._build()
            self.db = make_engine(self.branch, self._settings, pooled=False).connect()
            self._pid = self.db.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            self.db.exec_driver_sql(f"SET search_path = {self.name}, {self.branch}")
            self.db.exec_driver_sql(f"SET statement_timeout = '{LONGEST}'")
            self.db.exec_driver_sql(f"SET idle_in_transaction_session_timeout = '{LONGEST}'")
            self.db.commit()
        except BaseException:
            self._drop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._drop()

    def _drop(self) -> None:
        """By a connection of its own: that of the replay may be in the middle of anything, and is ended first."""
        try:
            if hasattr(self, "_pid"):
                self._keeper.execute("SELECT pg_terminate_backend(%s, 10000)", (self._pid,))
                self.db.invalidate()
                self.db.close()
            self._keeper.execute(f"DROP SCHEMA IF EXISTS {self.name} CASCADE")
        finally:
            self._keeper.close()

    def _build(self) -> None:
        with self._keeper.transaction():
            try:
                self._keeper.execute(f"CREATE SCHEMA {self.name}")
            except InsufficientPrivilege:
                raise Unavailable(
                    f"the {self.branch} database lets our role make no schema, which a comparison of tables needs: "
                    "GRANT CREATE ON DATABASE, or leave tables out with --no-tables"
                ) from None
            self._keeper.execute(f"COMMENT ON SCHEMA {self.name} IS '{_MARK}'")
            self._tables = copy_schema(self._keeper, self.branch, self.name)

    def analyze(self) -> None:
        """Tell the planner how large the tables have become."""
        with self.db.begin():
            self.db.exec_driver_sql(f"ANALYZE {', '.join(self._tables)}")
