"""Where a chaos test takes place: real processes, with a proxy of ours before each server that they speak to."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Container
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg
import redis
from kombu import Connection
from pytest_celery import CeleryTestBroker, CeleryTestSetup

from fundlyhub.processing.queues import depths
from fundlyhub.testing.providers import SendGrid
from tests.chaos import checks
from tests.chaos.load import Load, mixed
from tests.chaos.processors import TABLES
from tests.support.command import dsns
from tests.support.nodes import LocalBroker
from tests.support.platform import Platform, Process, wait_count, wait_until
from tests.support.proxy import AmqpWire, HttpWire, PostgresWire, Proxy, RespWire
from tests.support.reliability import Record
from tests.support.urls import port_of, through

QUEUES = "writes,projections,notifications,broadcasts"
BEGUN = 20
"""Effects by which one sees that the work is under way."""
DOUBTFUL = range(30)
"""Mails in mid-call when their worker, its database or the provider goes away: a person is asked about them."""


class Arena:
    """A platform behind proxies: ``database``, ``queue`` for the broker, ``shared`` for Redis, ``provider`` for mails.

    ``setup`` is pytest-celery's: it holds the broker and the first worker.
    """

    setup: CeleryTestSetup

    def __init__(self, dsn: str, broker_url: str, shared_url: str, broker: CeleryTestBroker, folder: Path) -> None:
        self._stack = ExitStack()
        self.broker_url = broker_url
        self.is_amqp = broker_url.startswith("amqp")
        self.broker_name = "RabbitMQ" if self.is_amqp else "Valkey"
        self.database = self._proxy(dsn, PostgresWire)
        self.queue = self._proxy(broker_url, AmqpWire if self.is_amqp else RespWire)
        self.shared = self._proxy(shared_url, RespWire)
        self.mails = self._stack.enter_context(SendGrid.running())
        self.provider = self._proxy(self.mails.url, HttpWire)
        environment = {
            **dsns(through(self.database, dsn)),
            "FUNDLYHUB_BROKER_URL": through(self.queue, broker_url),
            "FUNDLYHUB_REDIS_URL": through(self.shared, shared_url),
            "FUNDLYHUB_SENDGRID_BASE_URL": through(self.provider, self.mails.url),
            "FUNDLYHUB_EMAIL_BACKEND": "sendgrid",
            "FUNDLYHUB_SENDGRID_API_KEY": "SG.key",
            "FUNDLYHUB_NOTIFICATION_LEASE": "20",
            "FUNDLYHUB_NOTIFICATION_PATIENCE": "0",
            "FUNDLYHUB_CALL_TIMEOUT": "2",
            "FUNDLYHUB_BREAKER_REST": "0.5",
            "FUNDLYHUB_SECRET_KEY": "a key for tests",
            "FUNDLYHUB_DATA_DIR": str(folder),
            "FUNDLYHUB_PROCESSORS": "tests.chaos.processors",
        }
        server = broker.container.server if isinstance(broker.container, LocalBroker) else None
        self.platform = Platform(environment, dsn, server, folder)
        with psycopg.connect(dsn, autocommit=True) as db:
            db.execute(TABLES)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.platform.__exit__(kind, error, tb)
        self._stack.close()

    def relay(self, **variables: str) -> Process:
        """A relay that leads."""
        relay = self.platform.relay(**variables)
        wait_until(lambda: relay.said("leading, in epoch"), what="the relay to lead")
        return relay

    def effects(self) -> int:
        """Claims by now, of all processors."""
        return int(self.platform.value(
            "SELECT (SELECT count(*) FROM app.processed_events) + (SELECT count(*) FROM analytics.processed_events)"
        ))  # fmt: skip

    def under_load(self, fault: Callable[[], None], times: int, load: Load | None = None) -> tuple[Load, float]:
        """A load that is published while it is worked at, and the fault so often in it; when the last one ended.

        A part of the load comes before each fault and one after the last: however fast the machine is, each hits
        work, and what is published after it is done as well.
        """
        load = load or mixed()
        load.start(parts=times + 1)
        for _ in range(times):
            begun = self.effects() + BEGUN
            load.go_on()
            self.under_way(begun)
            assert self.unfinished(), "the fault comes too late to hit anything"
            fault()
            self.keep_worker()
        ended = time.monotonic()
        load.go_on()
        load.join()
        return load, ended

    def under_way(self, effects: int) -> None:
        """Wait for so many effects: the load is being worked at."""
        wait_count(self.effects, effects, what="effects")

    def stands_still(self) -> None:
        """Wait until nothing moves: a fault has reached everybody."""
        last = [-1]

        def still() -> bool:
            before, last[0] = last[0], self.effects()
            return before == last[0]

        wait_until(still, what="the work to stand still")

    def unfinished(self) -> bool:
        """Whether there is work left of what is published."""
        with psycopg.connect(self.platform.dsn) as db:
            return checks.findings(db).missing > 0

    def broker_is_back(self) -> None:
        """Wherever it listens now: a container that is started again has another port."""
        self.queue.target = port_of(self.setup.broker.config()["host_url"])

    def keep_worker(self) -> None:
        """Start the worker again if it has ended, as a supervisor would.

        kombu's Redis transport ends it when the broker dies in the middle of an acknowledgement.
        """
        if self.setup.worker.container.status != "running":
            self.setup.worker.restart()

    def settled_and_right(
        self,
        load: Load,
        record: Record,
        *,
        since: float,
        dead: int = 0,
        unknown: Container[int] = (0,),
        orphans: int = 0,
        timeout: float = 120,
    ) -> Record:
        """Wait until nothing is left to do, check all of it, and complete the record.

        ``since`` is the monotonic time of the fault's end; ``dead`` events are expected to rest as dead letters,
        and beside them so many mails whose outcome nobody can know; ``orphans`` rows follow from events that the
        log has lost.
        """
        found = self.wait_settled(load, timeout=timeout)
        delayed = time.monotonic() - since
        with psycopg.connect(self.platform.dsn) as db:
            lost = found.missing + checks.effects_missing(db)
            letters = db.execute("SELECT processor, error_class FROM events.dead_letters ORDER BY id").fetchall()
            raised = checks.raised(db)
        copies = Counter(one.reference for one in self.mails.accepted)
        repeated = found.doubled + sum(copies.values()) - len(copies)
        assert not found, f"{found}\n{self._logs()}"
        assert (lost, repeated) == (0, 0), f"{lost} lost, {repeated} repeated"
        doubtful = sum(name == "OutcomeUnknown" for _, name in letters)
        assert len(letters) - doubtful == dead, f"{letters}, expected {dead}"
        assert doubtful in unknown, letters
        assert raised == load.gifts, f"{raised} in the statistics, {load.gifts} given"
        self.verify(orphans)
        assert load.mails - doubtful <= len(copies) <= load.mails, f"{len(copies)} mails of {load.mails}"
        self.wait_no_message_left()
        return Record(
            record.fault, record.where, record.injected, len(load.events), lost, repeated, round(delayed, 1)
        )  # fmt: skip

    def wait_settled(self, *loads: Load, timeout: float = 120) -> checks.Findings:
        """Wait until these loads have had all their effects; the last findings: none when that came in time.

        ``timeout`` counts from the last effect: a machine on which everything is slow is no finding. The look at the
        whole log is taken only when nothing moves, and not more than half of the time: it runs in the process of the
        proxies, which every byte of the workers passes.
        """
        events = sum(len(load.events) for load in loads)
        end, last, found = time.monotonic() + timeout, -1, checks.Findings(missing=events)
        while found and time.monotonic() < end:
            self.keep_worker()
            begun, effects = time.monotonic(), self.effects()
            if effects != last:
                end, last = begun + timeout, effects
            else:
                with psycopg.connect(self.platform.dsn) as db:
                    if self._published(db) >= events:
                        found = checks.findings(db)
            time.sleep(max(0.1, time.monotonic() - begun))
        return found

    def _published(self, db: psycopg.Connection[Any]) -> int:
        row = db.execute("SELECT count(*) FROM events.events").fetchone()
        return int(row[0]) if row else 0

    def verify(self, orphans: int = 0) -> None:
        """`fundlyhub verify` finds nothing but so many rows that follow from no event of the log."""
        done = self.platform.run("verify", "--json", "--wait", "30")
        assert done.returncode == (1 if orphans else 0), f"{done.stdout[:3_000]}\n{done.stderr[-2_000:]}"
        report = json.loads(done.stdout)
        assert report["counts"] == ({"double": orphans} if orphans else {}), report["findings"][:5]
        assert all(found["what"].endswith("a row that follows from no event") for found in report["findings"])

    def wait_no_message_left(self) -> None:
        """No task is stuck: neither waiting in a queue nor held by a worker."""
        wait_until(lambda: not self.messages(), timeout=60, what="the queues to be empty")

    def messages(self) -> dict[str, Any]:
        """What the broker still has of the work queues.

        On Valkey, what a worker that was killed held is given back after the visibility time-out, and skipped
        then; the sweep has long sent its events again, so that it is no task that anything waits for.
        """
        if self.is_amqp:
            with Connection(self.broker_url) as connection:
                return {name: depth for name, depth in depths(connection, True).items() if depth}
        client = redis.Redis.from_url(self.broker_url)
        return {name: client.llen(name) for name in QUEUES.split(",") if client.llen(name)}

    def _logs(self) -> str:
        """The ends of the processes' logs."""
        return "\n".join(
            f"== {process.log.name}\n{process.log.read_text(errors='replace')[-1500:]}"
            for process in self.platform.processes
        )

    def _proxy(self, url: str, wire: Any) -> Proxy:
        return self._stack.enter_context(Proxy(port_of(url), wire))
