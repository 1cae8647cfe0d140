"""One run of the demo: publish, wait for all effects, measure, and compare."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine

from fundlyhub.database import connect
from fundlyhub.database.engines import make_engine
from fundlyhub.database.rows import the_value
from fundlyhub.demo import business
from fundlyhub.demo.check import compare
from fundlyhub.demo.clock import claims, clock
from fundlyhub.demo.messages import TELLERS, Told, check_messages, orphans, outbox
from fundlyhub.demo.outage import Outage, Report, possible
from fundlyhub.demo.provider import Provider
from fundlyhub.demo.publisher import Direct
from fundlyhub.demo.report import Result
from fundlyhub.demo.stream import Stream
from fundlyhub.embedded.logins import SERVICE
from fundlyhub.embedded.stack import Stack
from fundlyhub.errors import Unavailable
from fundlyhub.processing.processor import Processor
from fundlyhub.processors import projections, writes
from fundlyhub.relay.status import relay_lag
from fundlyhub.settings import Settings

if TYPE_CHECKING:
    from fundlyhub.demo.over_http import Served

PATIENCE = 60.0
"""Seconds without any progress after which the run gives up."""
STEADY_RATE = 50
"""Transactions a second while latency is measured."""
STEADY_SECONDS = 5

PROCESSORS: Mapping[str, type[Processor]] = {
    cls.name: cls for package in (projections, writes) for cls in (getattr(package, name) for name in package.__all__)
}
"""The processors that the demo waits for and checks."""
TAKERS = Counter(kind for processor in PROCESSORS.values() for kind in processor.patterns())
"""How many of them handle each event type."""
TELLING = Counter(kind for processor in TELLERS.values() for kind in processor.patterns())
"""How many processors send messages for each event type."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run is: events committed, of them waiting for the relay, and effects made of those to be made."""

    phase: str
    committed: int
    unrelayed: int
    applied: int
    wanted: int


class Stopped(Exception):
    """The user has stopped the run."""


class Demo:
    """A run on a stack whose servers and services are up."""

    def __init__(
        self, stack: Stack, events: int, seed: int, stop: threading.Event, tell: Callable[[Progress], None],
        *, outage: bool = True, api: str | None = None,
    ) -> None:  # fmt: skip
        """``api`` is where the example API service is, if that is to publish."""
        self._settings: Settings = stack.settings
        self._stack, self._events, self._seed = stack, events, seed
        self._stop, self._tell, self._with_outage = stop, tell, outage and possible()
        if stack.logins:
            stack.logins.make_service()
        service = stack.settings_of(SERVICE)  # what publishes is a service, and no owner of the log
        self._engine: Engine = make_engine("events", service)
        self._app: Engine = make_engine("app", service)
        self._api = api
        self._provider = Provider()
        self._best, self._moved = -1, time.monotonic()

    def run(self) -> Result:
        """Publish, wait until all is applied, publish at a steady pace, let the mail provider fail, and compare.

        Raises Stopped, or Unavailable when nothing moves any more.
        """
        started = time.monotonic()
        try:
            run = self._new_run()
            self._source = self._make_source(run)
            self._rush()
            rush = list(self._source.tally.wanted)
            self._await_all("rush", run)
            self._steady()
            steady = self._source.tally.wanted[len(rush) :]
            self._await_all("steady", run)
            outage = self._outage(run) if self._with_outage else None
            names = list(PROCESSORS)
            self._tell(self._progress("comparing"))
            return Result(
                run, self._source.tally, compare(self._settings, run), self._told(run), outage, self._verified(),
                clock(self._settings, names, rush), clock(self._settings, [*names, *TELLERS], rush),
                clock(self._settings, names, steady), time.monotonic() - started,
            )  # fmt: skip
        finally:
            self._engine.dispose()
            self._app.dispose()

    def _new_run(self) -> int:
        with connect("events", settings=self._settings) as db:
            db.execute(business.DDL)
            if self._stack.logins:
                db.execute(business.OPEN)
            return int(the_value(db.execute(business.NEW_RUN, (self._seed,))))

    def _make_source(self, run: int) -> Direct | Served:
        if self._api is None:
            stream = Stream(self._seed, run, self._events)
            return Direct(stream, self._engine, TAKERS, self._stop, app=self._app, tellers=TELLING)
        from fundlyhub.demo.over_http import Served  # it needs an extra

        return Served(
            self._api, self._settings, self._engine, run, self._seed, self._events, TAKERS, TELLING, self._stop
        )

    def _rush(self) -> None:
        """Publish as fast as the writers can, and show the progress beside."""
        done = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(done,))
        watcher.start()
        try:
            self._source.rush()
        finally:
            done.set()
            watcher.join()

    def _watch(self, done: threading.Event) -> None:
        while not done.wait(0.5):  # the main thread restarts services that died: they end with it
            self._tell(self._progress("publishing"))

    def _steady(self) -> None:
        start = time.monotonic()
        for n in range(STEADY_RATE * STEADY_SECONDS):
            if self._stop.wait(max(0.0, start + n / STEADY_RATE - time.monotonic())):
                return
            self._source.donate()

    def _await_all(self, phase: str, run: int) -> None:
        """Wait until every event has had all its effects and messages."""
        vain = orphans(self._settings, run, self._source.tally.told)
        self._best = -1
        while (now := self._progress(f"waiting ({phase})", vain)).applied < now.wanted:
            self._pause(now)
        if self._stop.is_set():
            raise Stopped

    def _outage(self, run: int) -> Report:
        """Let the mail provider fail for a while; the mails that wait go out when it is back."""
        self._best = -1
        with self._provider.running():
            outage = Outage(self._stack, self._provider, lambda phase: self._pause(self._progress(phase)))
            outage_report = outage.run(self._source.register)
            self._await_all("outage", run)
        return outage_report

    def _pause(self, now: Progress) -> None:
        """Wait a moment. Raises Stopped, and Unavailable when there was no progress for ``PATIENCE`` seconds."""
        self._tell(now)
        if now.applied > self._best:
            self._best, self._moved = now.applied, time.monotonic()
        elif time.monotonic() - self._moved > PATIENCE:
            raise Unavailable(
                f"stuck while {now.phase}: {now.applied:,} of {now.wanted:,} effects, {now.unrelayed:,} events are not "
                f"relayed, and nothing moved for {PATIENCE:.0f} s; see the logs in {self._stack.folder / 'log'}"
            )
        self._stack.supervisor.tend()
        if self._stop.wait(0.2):
            raise Stopped

    def _progress(self, phase: str, vain: int = 0) -> Progress:
        """The progress of the run; ``vain`` is the number of messages that wait for something that was rolled back."""
        tally = self._source.tally
        wanted, told, committed = list(tally.wanted), list(tally.told), len(tally.positions)
        effects = tally.effects + tally.tellings - vain
        with connect("events", settings=self._settings, autocommit=True) as db:
            lag = relay_lag(db)
        made = claims(self._settings, list(PROCESSORS), wanted) + claims(self._settings, list(TELLERS), told)
        return Progress(phase, committed, lag["lag_events"], made, effects)

    def _verified(self) -> dict[str, Any]:
        """The report of `fundlyhub verify`: on the whole log if it is the demo's own, else on this run's part."""
        since = () if self._stack.postgres else ("--since", str(min(self._source.tally.positions) - 1))
        done = self._stack.run("verify", "--json", *since)
        try:
            report: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            raise Unavailable(f"fundlyhub verify failed: {done.stderr.strip()[-500:]}") from None
        return report

    def _told(self, run: int) -> Told:
        copies = outbox(self._stack.folder) + self._provider.taken
        return check_messages(self._settings, run, self._source.tally.positions, copies)
