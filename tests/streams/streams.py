"""Streams on a real Valkey and a log in a real PostgreSQL, each behind a proxy, and ingests between them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis

from fundlyhub.embedded.valkey import Valkey
from tests.streams.entries import Said, now_ms
from tests.support.command import dsns
from tests.support.log import rows
from tests.support.platform import Platform, Process, wait_until
from tests.support.proxy import PostgresWire, Proxy, RespWire
from tests.support.urls import port_of, through

GROUP = "fundlyhub"
NAMES = ("events", "events:stream", "fundlyhub-events")


class Streams:
    """``queue`` is the proxy before Valkey, ``database`` the one before PostgreSQL; tests themselves go straight."""

    def __init__(self, dsn: str, valkey: Valkey, folder: Path) -> None:
        self._stack = ExitStack()
        self.dsn, self.url = dsn, valkey.database_url(3)
        self.redis = self._stack.enter_context(redis.Redis.from_url(self.url))
        self.redis.flushdb()
        self.queue = self._stack.enter_context(Proxy(port_of(self.url), RespWire))
        self.database = self._stack.enter_context(Proxy(port_of(dsn), PostgresWire))
        self.environment = {
            **dsns(through(self.database, dsn)),
            "FUNDLYHUB_STREAMS_URL": through(self.queue, self.url),
            "FUNDLYHUB_INGEST_CLAIM_AFTER": "1",
            "COLUMNS": "250",
        }
        self.platform = self._stack.enter_context(Platform(self.environment, dsn, valkey, folder))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stack.close()

    def write(self, said: Said, stream: str = "events") -> str:
        """As a publisher does; the entry's id."""
        return str(self.redis.xadd(stream, said).decode())

    def write_all(self, many: Iterable[Said], stream: str = "events") -> None:
        """The same for many."""
        with self.redis.pipeline(transaction=False) as pipe:
            for said in many:
                pipe.xadd(stream, said)
            pipe.execute()

    def launch(self, **variables: str) -> Process:
        """An ingest that is on its way."""
        argv = [sys.executable, "-m", "fundlyhub", "ingest"]
        named = {f"FUNDLYHUB_{name}": value for name, value in variables.items()}
        return self.platform.start("ingest", argv, named)

    def ingest(self, **variables: str) -> Process:
        """An ingest that reads."""
        process = self.launch(**variables)
        wait_until(lambda: process.said("connected: reading"), what="the ingest")
        return process

    def wait_taken(self, events: int, quarantined: int = 0, *, timeout: float = 60) -> None:
        """Wait until so much is in the log and in quarantine, and nothing is left unread or unacknowledged."""

        def taken() -> bool:
            return (len(self.ids()), len(self.held())) == (events, quarantined) and self.left() == 0

        try:
            wait_until(taken, timeout=timeout, what="all entries to be taken")
        except AssertionError as error:
            logs = "\n".join(process.log.read_text()[-2_000:] for process in self.platform.processes)
            raise AssertionError(f"{len(self.ids())}, {self.held()}, {self.left()}\n{logs}") from error

    def ids(self) -> list[str]:
        """The ids of all events in the log, in its order."""
        return rows(self.dsn, "SELECT id::text FROM events.events ORDER BY position")

    def held(self) -> list[str]:
        """The reasons of what is in quarantine."""
        return rows(self.dsn, "SELECT reason FROM events.quarantine ORDER BY id")

    def left(self) -> int:
        """Entries that nobody has read, or nobody has acknowledged."""
        waiting = 0
        for stream in NAMES:
            if self.redis.exists(stream):
                groups: Any = self.redis.xinfo_groups(stream)
                mine = [one for one in groups if one["name"] == GROUP.encode()]
                waiting += sum(one["lag"] + one["pending"] for one in mine) if mine else self.redis.xlen(stream)
        return waiting

    def status(self) -> dict[str, Any]:
        """`fundlyhub ingest status --json`."""
        done = self.platform.run("ingest", "status", "--json")
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    def ghost(self, entries: int, stream: str = "events", *, group: str = GROUP, idle: float = 0) -> None:
        """A consumer that reads so many and dies, ``idle`` seconds ago."""
        answer: Any = self.redis.xreadgroup(group, "ghost", {stream: ">"}, count=entries)
        ((_, read),) = answer.items() if isinstance(answer, dict) else answer
        ids = [id for id, _ in read]
        self.redis.xclaim(stream, group, "ghost", 0, ids, idle=int(idle * 1000), justid=True)

    def age(self, milliseconds: int = 3_600_000) -> str:
        """An id as an entry of long ago has it."""
        return f"{now_ms() - milliseconds}-0"
