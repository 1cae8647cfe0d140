"""The shadow schema, in which processors' tables are made anew beside the live ones; dropped at the end.

Its connection has nothing but this schema in its search_path: what a handler does not find there is an error, and
no row of the live tables can be touched. A killed verification leaves its schema behind; its lock is
free then, and the next verification drops it.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self
from uuid import uuid4

from sqlalchemy import Connection, Table
from sqlalchemy.dialects.postgresql import dialect
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.schema import CreateIndex, CreateTable

from fundlyhub.database import METADATA, connect, sqlstate
from fundlyhub.database.engines import make_engine
from fundlyhub.errors import Unavailable
from fundlyhub.settings import Branch, Settings
from fundlyhub.verification.tables.truth import KEPT

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
_CONFIGURATIONS = "SELECT cfgname FROM pg_ts_config WHERE cfgnamespace = %s::regnamespace"
_POSTGRES = dialect()  # type: ignore[no-untyped-call]  # theirs


class Shadow:
    """The schema of one verification in one database. ``db`` sees it alone; ``name`` is what it is called."""

    def __init__(self, branch: Branch, settings: Settings) -> None:
        self.branch, self.name = branch, f"verify_{uuid4().hex[:12]}"
        self._settings = settings

    def __enter__(self) -> Self:
        self._keeper = connect(self.branch, settings=self._settings, autocommit=True, session=True)
        try:
            for (schema,) in self._keeper.execute(_LEFT_OVER).fetchall():
                self._keeper.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
            self._keeper.execute(_LOCK, (self.name,))
            self.db = make_engine(self.branch, self._settings, pooled=False).connect()
            self._pid = self.db.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            self.db.commit()
            self._build()
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
        self.db.exec_driver_sql(f"SET search_path = {self.name}; SET statement_timeout = '{LONGEST}'")
        self.db.exec_driver_sql(f"SET idle_in_transaction_session_timeout = '{LONGEST}'")
        self.db.commit()
        with self.db.begin():
            try:
                self.db.exec_driver_sql(f"CREATE SCHEMA {self.name}")
            except ProgrammingError as error:
                if sqlstate(error) != "42501":
                    raise
                raise Unavailable(
                    f"the {self.branch} database lets our role make no schema, which a comparison of tables needs: "
                    "GRANT CREATE ON DATABASE, or leave tables out with --no-tables"
                ) from None
            self.db.exec_driver_sql(f"COMMENT ON SCHEMA {self.name} IS '{_MARK}'")
            for name in self.db.exec_driver_sql(_CONFIGURATIONS, (self.branch,)).scalars().all():
                self.db.exec_driver_sql(f"CREATE TEXT SEARCH CONFIGURATION {name} (COPY = {self.branch}.{name})")
            for table in METADATA[self.branch].tables.values():
                _create(self.db, table)
            for kept in KEPT[self.branch]:
                for ddl in filter(None, (kept.view, kept.told_by and kept.told_by.ddl)):
                    self.db.exec_driver_sql(ddl)

    def analyze(self) -> None:
        """Tell the planner how large the tables have become."""
        with self.db.begin():
            for table in METADATA[self.branch].tables:
                self.db.exec_driver_sql(f"ANALYZE {table}")


def _create(db: Connection, table: Table) -> None:
    """A table in one piece, without a log of its writes, and without the indexes that only searches need."""
    made = str(CreateTable(table).compile(dialect=_POSTGRES)).partition("PARTITION BY")[0]
    db.exec_driver_sql(made.replace("CREATE TABLE", "CREATE UNLOGGED TABLE", 1))
    for index in table.indexes:
        if index.dialect_options["postgresql"]["using"] != "gin":
            db.exec_driver_sql(str(CreateIndex(index).compile(dialect=_POSTGRES)))
