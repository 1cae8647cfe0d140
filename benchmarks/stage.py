"""Where a run happens: servers of our own, started once, and for each run a fresh database and an empty broker."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import psycopg
import redis

from fundlyhub.embedded.postgres import Postgres
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.testing.databases import create_database, database_dsn, drop_database, migrated_template
from tests.support import ROOT
from tests.support.brokers import fresh_broker_url
from tests.support.command import environment
from tests.support.platform import Process
from tests.support.rabbitmq import RabbitNode, available

PYTHON = sys.executable
PEERS_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
PEERS_SCHEMA = ROOT / "benchmarks" / "peers" / "schema.sql"
POSTGRES_OPTIONS = {
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "shared_buffers": f"{psutil.virtual_memory().total // 4 // 2**20}MB",
}
"""As any server under load has them: no checkpoint falls into one run and not into another, and its buffers are a
quarter of the memory. fsync is on."""

PATIENCE = 60.0
"""Seconds without any progress after which a run has failed."""


class Failed(Exception):
    """A run that did not end as it must: its number would mean nothing."""


class Place:
    """One run's database and broker, and the processes that work there."""

    def __init__(self, dsn: str, folder: Path, variables: Mapping[str, str]) -> None:
        self.dsn, self.folder = dsn, folder
        self.environment = environment(variables)
        self.processes: list[Process] = []
        self._db: psycopg.Connection[Any] | None = None

    @property
    def db(self) -> psycopg.Connection[Any]:
        """A connection in autocommit, for looking."""
        if self._db is None:
            self._db = psycopg.connect(self.dsn, autocommit=True)
        return self._db

    def value(self, sql: str, *given: Any) -> Any:
        """The first column of the first row."""
        row = self.db.execute(sql, given or None).fetchone()
        return None if row is None else row[0]

    def start(self, name: str, argv: list[str], **variables: str) -> Process:
        """A process that works here."""
        process = Process(name, argv, {**self.environment, **variables}, self.folder, fresh=True)
        self.processes.append(process)
        return process

    def run(self, argv: list[str]) -> str:
        """A command to its end; what it printed. Raises Failed when it fails."""
        done = subprocess.run(argv, env=self.environment, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failed(f"{' '.join(argv[-4:])}: {done.stderr[-2_000:]}")
        return done.stdout

    def check_alive(self, *, may_end: bool = False) -> None:
        """Raise Failed when a process has ended; with ``may_end`` when one has failed."""
        for process in self.processes:
            if process.popen.poll() is not None and not (may_end and process.popen.returncode == 0):
                raise Failed(f"ended with {process.popen.returncode}: {process.log.read_text()[-2_000:]}")

    def wait_for(
        self, look: Callable[[], int], wanted: int, what: str, *, poll: float = 0.1, alive: bool = True
    ) -> None:
        """Wait until ``look`` counts as many as are wanted.

        Raises Failed when the count stands still, and when a process has failed, or with ``alive`` has ended.
        """
        seen, since = -1, time.monotonic()
        while (now := look()) < wanted:
            self.check_alive(may_end=not alive)
            if now != seen:
                seen, since = now, time.monotonic()
            elif time.monotonic() - since > PATIENCE:
                logs = "".join(process.log.read_text(errors="replace")[-1_000:] for process in self.processes)
                raise Failed(f"stalled at {now:,} of {wanted:,} {what}\n{logs}")
            time.sleep(poll)

    def close(self) -> None:
        """End the processes and the connection."""
        for process in self.processes:
            process.kill()
        if self._db is not None:
            self._db.close()


class Stage:
    """The servers. RabbitMQ is started when a row wants it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="fundlyhub-bench-", dir="/var/tmp"))  # a disk
        self.folder.chmod(0o755)
        self.postgres = Postgres(self.folder / "postgres", options=POSTGRES_OPTIONS)
        self.valkey = Valkey(self.folder / "valkey")
        self._rabbitmq: RabbitNode | None = None
        self._templates: dict[str, str] = {}
        self._numbers = count(1)

    def __enter__(self) -> Self:
        self.postgres.start()
        self.valkey.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._rabbitmq is not None:
            self._rabbitmq.stop()
        self.valkey.stop()
        self.postgres.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def has_rabbitmq(self) -> bool:
        """Whether it is installed."""
        return available()

    @cached_property
    def rabbitmq(self) -> RabbitNode:
        """The node, started now."""
        node = self._rabbitmq = RabbitNode()
        node.start()
        return node

    def server_pids(self, broker: str | None) -> list[int]:
        """The servers that a row uses."""
        pids = [self.postgres.child.process.pid]
        if broker == "valkey":
            pids.append(self.valkey.child.process.pid)
        if broker == "rabbitmq" and self.rabbitmq.pid:
            pids.append(self.rabbitmq.pid)
        return pids

    def template(self, name: str, fill: Callable[[str], None] | None = None, base: str = "plain") -> str:
        """A database that others are copied from, made once: migrated, with the peers' tables, then ``fill(dsn)``.

        ``base`` is the template that it begins as.
        """
        if name not in self._templates:
            if fill is None:
                migrated_template(self.postgres, name)
                dsn = database_dsn(self.postgres.dsn, name)
                with psycopg.connect(dsn, autocommit=True) as db:
                    db.execute(PEERS_SCHEMA.read_text())
            else:
                self.template("plain")
                create_database(self.postgres, name, base)
                dsn = database_dsn(self.postgres.dsn, name)
                fill(dsn)
            with psycopg.connect(dsn, autocommit=True) as db:
                db.execute("VACUUM ANALYZE")
            self._templates[name] = name
        return name

    @contextmanager
    def place(self, broker: str | None = "valkey", template: str = "plain") -> Iterator[Place]:
        """A fresh database, copied from a template, and an empty broker."""
        name = f"run_{next(self._numbers)}"
        self.template("plain")
        create_database(self.postgres, name, template)
        dsn = database_dsn(self.postgres.dsn, name)
        with psycopg.connect(dsn, autocommit=True) as db:
            db.execute("CHECKPOINT")  # so that the copying is not paid for by what is measured
        server = self.rabbitmq if broker == "rabbitmq" else self.valkey
        redis.Redis.from_url(self.valkey.url).flushall()
        data = self.folder / name
        data.mkdir()
        place = Place(
            dsn,
            data,
            {
                **{f"FUNDLYHUB_{branch}_DSN": dsn for branch in ("EVENTS", "APP", "ANALYTICS")},
                "FUNDLYHUB_SECRET_KEY": "a key for benchmarks",
                "FUNDLYHUB_BROKER_URL": fresh_broker_url(server),
                "FUNDLYHUB_REDIS_URL": self.valkey.url,
                "FUNDLYHUB_DATA_DIR": str(data),
                "BENCH_DSN": dsn,
                "BENCH_REDIS": self.valkey.database_url(1),
                "REMAP_SIGTERM": "SIGQUIT",
                "PYTHONWARNINGS": "ignore",
            },
        )
        try:
            yield place
        finally:
            place.close()
            if broker == "rabbitmq":
                self.rabbitmq.ctl("delete_vhost", place.environment["FUNDLYHUB_BROKER_URL"].rpartition("/")[2])
            drop_database(self.postgres, name)
            shutil.rmtree(data, ignore_errors=True)
