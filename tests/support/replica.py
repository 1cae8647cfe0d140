"""A replica of a PostgreSQL server, by streaming replication, and what becomes of it in a failover."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import psycopg

from fundlyhub.embedded.binaries import find_postgres
from fundlyhub.embedded.postgres import Postgres
from fundlyhub.embedded.process import Child
from tests.support.platform import wait_until

NAME = "replica"
_CAUGHT_UP = """
    SELECT count(*) = 1 FROM pg_stat_replication
    WHERE application_name = %s AND state = 'streaming' AND replay_lsn >= pg_current_wal_lsn()
"""
_SYNCHRONOUS = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
_STREAMS = "SELECT count(*) FROM pg_stat_wal_receiver"


class Replica(Postgres):
    """A copy of a running server that follows it until it is cut off or promoted."""

    name = "postgres-replica"

    def __init__(self, root: Path, primary: Postgres) -> None:
        super().__init__(root, options={"fsync": "off"})
        self._primary = primary

    def launch(self) -> Child:
        """Copy the primary, unless that is done, and start."""
        if not (self.root / "data").exists():
            shutil.copy2(self._primary.root / "password", self.root / "password")
            self._copy(self.root / "data")
        return super().launch()

    def wait_caught_up(self) -> None:
        """Wait until it has all that is committed by now."""
        wait_until(lambda: _value(self._primary, _CAUGHT_UP, NAME), what="the replica to catch up")

    def be_waited_for(self) -> None:
        """From now on a commit of the primary ends when this replica has it."""
        for statement in (f"ALTER SYSTEM SET synchronous_standby_names = '{NAME}'", "SELECT pg_reload_conf()"):
            _value(self._primary, statement)
        wait_until(lambda: _value(self._primary, _SYNCHRONOUS) == 1, what="the replica to be synchronous")

    def cut_off(self) -> None:
        """Nothing that the primary commits from now on arrives, as with a line that is down."""
        for statement in ("ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()"):
            _value(self, statement)
        wait_until(lambda: not _value(self, _STREAMS), what="the replica to be cut off")

    def promote(self) -> None:
        """Make it the primary."""
        assert _value(self, "SELECT pg_promote()")

    def _copy(self, data: Path) -> None:
        data.mkdir(mode=0o700)
        if self._account:
            os.chown(data, *self._account)
        program = self._runnable(find_postgres()).bin / "pg_basebackup"
        source = f"{self._primary.dsn}?application_name={NAME}"
        done = self._run([program, "-d", source, "-D", data, "-X", "stream", "-c", "fast", "-R"])
        assert done.returncode == 0, done.stderr


def _value(server: Postgres, query: str, *values: object) -> object:
    with psycopg.connect(server.dsn, autocommit=True) as db:
        cursor = db.execute(query.encode(), values)
        row = cursor.fetchone() if cursor.description else None
    return row and row[0]
