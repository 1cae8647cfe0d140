"""One run of the demo: bring all up, publish, wait, measure, compare."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from fundlyhub.database import connect
from fundlyhub.database.engines import make_engine
from fundlyhub.demo import business
from fundlyhub.demo.check import Comparison, compare
from fundlyhub.demo.clock import Clock, claims, clock
from fundlyhub.demo.publisher import Publisher, Tally
from fundlyhub.demo.stream import Stream
from fundlyhub.embedded.stack import Stack
from fundlyhub.errors import Unavailable
from fundlyhub.processing.processor import Processor
from fundlyhub.processors import projections, writes
from fundlyhub.relay.status import relay_lag
from fundlyhub.settings import Settings

PATIENCE = 60.0
"""Seconds without any progress after which the run gives up."""
STEADY_RATE = 50
"""Transactions a second while latency is measured."""
STEADY_SECONDS = 5

PROCESSORS: Mapping[str, type[Processor]] = {
    cls.name: cls for package in (projections, writes) for cls in (getattr(package, name) for name in package.__all__)
}
"""What the demo waits for and checks."""
TAKERS = Counter(kind for processor in PROCESSORS.values() for kind in processor.patterns())
"""How many of them take each event type; what none takes is passed over."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run is: events committed, of them waiting for the relay, and effects made of those to be made."""

    phase: str
    committed: int
    unrelayed: int
    applied: int
    wanted: int


@dataclass(frozen=True, slots=True)
class Result:
    """What a run came to. ``rush`` is the clock of the first phase, ``steady`` that of the paced one."""

    run: int
    tally: Tally
    comparison: Comparison
    rush: Clock
    steady: Clock
    seconds: float


class Stopped(Exception):
    """The user has stopped the run."""


class Demo:
    """A run on a stack whose servers and services are up."""

    def __init__(
        self, stack: Stack, events: int, seed: int, stop: threading.Event, tell: Callable[[Progress], None]
    ) -> None:
        self._settings: Settings = stack.settings
        self._stack, self._events, self._seed = stack, events, seed
        self._stop, self._tell = stop, tell
        self._engine: Engine = make_engine("events", stack.settings)
        self._publisher = Publisher(self._engine, TAKERS, stop)

    def run(self) -> Result:
        """Publish, wait until all is applied, publish at a steady pace, wait again, and compare.

        Raises Stopped, or Unavailable when nothing moves any more.
        """
        started = time.monotonic()
        try:
            run = self._new_run()
            stream = Stream(self._seed, run, self._events)
            self._rush(stream)
            rush = list(self._publisher.tally.wanted)
            self._await_applied("rush")
            self._steady(stream)
            steady = self._publisher.tally.wanted[len(rush) :]
            self._await_applied("steady")
            names = list(PROCESSORS)
            return Result(
                run, self._publisher.tally, compare(self._settings, run), clock(self._settings, names, rush),
                clock(self._settings, names, steady), time.monotonic() - started,
            )  # fmt: skip
        finally:
            self._engine.dispose()

    def _new_run(self) -> int:
        with connect("events", settings=self._settings) as db:
            db.execute(business.DDL)
            row = db.execute(business.NEW_RUN, (self._seed,)).fetchone()
        assert row is not None
        return int(row[0])

    def _rush(self, stream: Stream) -> None:
        """As fast as the writers can, with a watcher beside them."""
        done = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(done,))
        watcher.start()
        try:
            self._publisher.run(stream.transactions())
        finally:
            done.set()
            watcher.join()

    def _watch(self, done: threading.Event) -> None:
        while not done.wait(0.5):  # what died is started again by the main thread, which its life hangs on
            self._tell(self._progress("publishing"))

    def _steady(self, stream: Stream) -> None:
        start = time.monotonic()
        for n in range(STEADY_RATE * STEADY_SECONDS):
            if self._stop.wait(max(0.0, start + n / STEADY_RATE - time.monotonic())):
                return
            self._publisher.commit(stream.donation())

    def _await_applied(self, phase: str) -> None:
        """Wait until every event has had all its effects; bounded by progress, not by time."""
        best, moved = -1, time.monotonic()
        while not self._stop.is_set():
            now = self._progress(f"waiting ({phase})")
            self._tell(now)
            if now.applied >= now.wanted:
                return
            if now.applied > best:
                best, moved = now.applied, time.monotonic()
            elif time.monotonic() - moved > PATIENCE:
                raise Unavailable(
                    f"stuck: {now.applied:,} of {now.wanted:,} effects, {now.unrelayed:,} events are not relayed, "
                    f"and nothing moved for {PATIENCE:.0f} s; see the logs in {self._stack.folder / 'log'}"
                )
            self._stack.supervisor.tend()
            self._stop.wait(0.2)
        raise Stopped

    def _progress(self, phase: str) -> Progress:
        tally = self._publisher.tally
        wanted, committed, effects = list(tally.wanted), len(tally.positions), tally.effects
        with connect("events", settings=self._settings, autocommit=True) as db:
            lag = relay_lag(db)
        made = claims(self._settings, list(PROCESSORS), wanted)
        return Progress(phase, committed, lag["lag_events"], made, effects)


def report(result: Result, seed: int, broker: str) -> dict[str, Any]:
    """The run as one JSON document."""
    return {
        "verified": not result.comparison.mismatches,
        "events": len(result.tally.positions),
        "applied": len(result.tally.wanted),
        "passed_over": len(result.tally.positions) - len(result.tally.wanted),
        "rolled_back": result.tally.rolled_back,
        "duplicates": result.tally.duplicates,
        "campaigns": len(result.comparison.titles),
        "effects": result.tally.effects,
        "numbers": sum(result.comparison.checked.values()),
        "checked": dict(result.comparison.checked),
        "mismatches": result.comparison.mismatches,
        "throughput_events_per_s": round(result.rush.rate(), 1),
        "latency_ms": result.steady.latency_ms(),
        "clock": result.rush.source,
        "seconds": round(result.seconds, 1),
        "seed": seed,
        "run": result.run,
        "broker": broker,
    }
