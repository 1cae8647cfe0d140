"""A whole platform for one test: a database, a broker, and real relay and worker processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import redis
from kombu import Connection

from fundlyhub.embedded.valkey import Valkey
from fundlyhub.processing.queues import declarations
from fundlyhub.testing.waiting import wait_count as wait_count
from fundlyhub.testing.waiting import wait_until as wait_until
from tests.support import ROOT
from tests.support.brokers import Broker, give_vhost
from tests.support.command import run
from tests.support.nursery import Child, Start, can_bear
from tests.support.rabbitmq import RabbitNode


class Process:
    """A child in a session of its own, with its log in a file. ``fresh`` is one with an interpreter of its own."""

    def __init__(
        self, name: str, argv: list[str], environment: Mapping[str, str], folder: Path, *, fresh: bool = False
    ) -> None:
        self.log = folder / f"{name}-{uuid4().hex[:6]}.log"
        self.log.touch()
        self.popen: subprocess.Popen[bytes] | Child
        if can_bear(argv, environment) and not fresh:
            nothing = Path(os.devnull)
            self.popen = Child(Start(argv[2], argv[3:], environment, Path.cwd(), nothing, self.log, self.log))
            return
        with self.log.open("wb") as out:
            self.popen = subprocess.Popen(
                argv,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def said(self, text: str) -> bool:
        """Whether the log holds a text; fails when the process has ended without saying it."""
        log = self.log.read_text(errors="replace")
        if text in log:
            return True
        if self.popen.poll() is not None:
            raise AssertionError(f"ended with {self.popen.returncode} before it said {text!r}:\n{log[-3000:]}")
        return False

    def kill(self) -> None:
        """SIGKILL to the process and all its children."""
        self._signal(signal.SIGKILL)
        self.popen.wait(30)

    def terminate(self) -> int:
        """SIGTERM to the process alone, as an init system sends it; the exit status."""
        if self.popen.poll() is None:
            self.popen.terminate()
        try:
            status = self.popen.wait(60)
        finally:
            self._signal(signal.SIGKILL)
        if status:  # a test that expects another one shows what it prints
            sys.stdout.write(self.log.read_text(errors="replace")[-3_000:])
        return status

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.popen.pid, number)


class Platform:
    """Starts and stops processes against one database and one broker, and looks at what they did.

    They run on the tests' own Python, or on that of another environment, which may have another release.
    """

    def __init__(
        self, environment: Mapping[str, str], dsn: str, broker: Broker | None, folder: Path,
        python: str = sys.executable,
    ) -> None:  # fmt: skip
        fast = {
            "FUNDLYHUB_SWEEP_INTERVAL": "1",
            "FUNDLYHUB_SWEEP_GRACE": "3",
            "FUNDLYHUB_PROCESSORS": "tests.support.processors",
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "default",
        }
        self.environment = {**os.environ, **fast, **environment}
        self.dsn, self._broker, self.folder, self.python = dsn, broker, folder, python
        self.processes: list[Process] = []
        self.kept: Process | None = None

    @property
    def broker(self) -> Broker:
        """The broker's server, where it is one of ours."""
        assert self._broker is not None, "the broker runs somewhere else"
        return self._broker

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for process in self.processes:
            process.kill()

    def relay(self, **variables: str) -> Process:
        """A relay process; it may lead or stand by."""
        return self.start("relay", [self.python, "-m", "fundlyhub", "relay"], variables)

    def worker(
        self,
        queues: str = "projections",
        *,
        concurrency: int = 2,
        kept: bool = False,
        watched: bool = False,
        **variables: str,
    ) -> Process:
        """A worker process that is ready to take up messages; ``watched`` sends Celery's events.

        ``kept`` starts another one when it ends by itself, as a supervisor would: kombu's Redis transport ends
        the worker when the broker dies in the middle of an acknowledgement.
        """
        process = self.launch_worker(queues, concurrency=concurrency, watched=watched, **variables)
        wait_until(lambda: process.said(" ready."), what="the worker")
        if kept:
            self.kept = process
        return process

    def launch_worker(self, queues: str, *, concurrency: int = 2, watched: bool = False, **variables: str) -> Process:
        """A worker process that is on its way."""
        argv = [self.python, "-m", "celery", "-A", "fundlyhub", "worker", "-Q", queues, "-c", str(concurrency)]
        argv += ["-n", f"{uuid4().hex[:8]}@%h", "--without-gossip", "--without-mingle", "-l", "INFO"]
        argv += ["-E"] if watched else []
        return self.start("worker", argv, {"REMAP_SIGTERM": "SIGQUIT", **variables})

    def tend(self) -> None:
        """Start the kept worker again if it has ended."""
        if self.kept is not None and self.kept.popen.poll() is not None:
            self.worker(kept=True)

    def start(self, name: str, argv: list[str], variables: Mapping[str, str]) -> Process:
        """Any process, with the platform's environment."""
        process = Process(name, argv, {**self.environment, **variables}, self.folder)
        self.processes.append(process)
        return process

    def run(self, *args: str, input: bytes | None = None) -> subprocess.CompletedProcess[str]:
        """A `fundlyhub` command to its end."""
        return run("fundlyhub", args, self.environment, input)

    def environment_secrets(self) -> list[str]:
        """The passwords and keys in the environment of its processes."""
        urls = [self.environment[f"FUNDLYHUB_{name}"] for name in ("EVENTS_DSN", "REDIS_URL", "BROKER_URL")]
        passwords = {str(urlsplit(url).password) for url in urls} - {"guest"}
        return [*passwords, self.environment["FUNDLYHUB_SECRET_KEY"]]

    def purge(self) -> None:
        """Empty every queue, as an operator's slip would."""
        if self.environment["FUNDLYHUB_BROKER_URL"].startswith("redis"):
            redis.Redis.from_url(self.environment["FUNDLYHUB_BROKER_URL"]).flushall()
            return
        with (
            Connection(self.environment["FUNDLYHUB_BROKER_URL"]) as connection,
            connection.channel() as channel,
        ):
            for queue in declarations(amqp=True):
                queue(channel).purge()

    def replace_broker(self) -> None:
        """The broker dies, and an empty one takes its place at the same address."""
        if isinstance(self.broker, Valkey):
            redis.Redis.from_url(self.environment["FUNDLYHUB_BROKER_URL"]).flushall()
            self.broker.stop()
            self.broker.start()
            return
        self.broker.reset()
        give_vhost(self.broker, self.environment["FUNDLYHUB_BROKER_URL"].rpartition("/")[2])

    def stop_broker(self) -> None:
        """The broker ends, and keeps what it has."""
        if isinstance(self.broker, Valkey):
            self.broker.stop()
        else:
            self.broker.halt()

    def start_broker(self) -> None:
        """It is back."""
        self.broker.start()

    @contextmanager
    def broker_held(self) -> Iterator[None]:
        """The broker is stopped in its tracks, as a machine that hangs: connections stay open, and nobody answers."""
        pid = self.broker.pid if isinstance(self.broker, RabbitNode) else self.broker.child.process.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def relayed(self) -> int:
        """Positions that the relay has handed over and confirmed."""
        return int(
            self.value(
                """SELECT count(*) FROM events.events, events.relay_cursors c WHERE c.name = 'main' AND (
                   pg_visible_in_snapshot(xid, seen)
                   OR (pg_visible_in_snapshot(xid, target) AND position <= after))"""
            )
        )

    def execute(self, sql: str, *values: Any) -> None:
        """Run SQL in the platform's database."""
        with psycopg.connect(self.dsn, autocommit=True) as db:
            db.execute(sql, values)

    def value(self, query: str, *values: Any) -> Any:
        """The first column of the first row of a query."""
        with psycopg.connect(self.dsn, autocommit=True) as db:
            row = db.execute(query, values).fetchone()
        return None if row is None else row[0]

    def applied(self, processor: str) -> int:
        """How many events a processor has claimed."""
        return int(self.value("SELECT count(*) FROM analytics.processed_events WHERE processor = %s", processor))

    def wait_applied(self, processor: str, events: int, *, timeout: float = 180) -> None:
        """Wait until a processor has claimed so many events."""

        def applied() -> int:
            self.tend()
            return self.applied(processor)

        wait_count(applied, events, timeout=timeout, what=f"events in {processor}")
