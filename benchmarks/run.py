"""Runs a plan, round by round, and gathers its numbers. A run that fails gives none, and is told of."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.data import gifts, totals, write
from benchmarks.measures import (
    batches,
    drain,
    growth,
    held,
    hop,
    idle,
    latency,
    mail,
    processes,
    publishing,
    rebuild,
    relaying,
    whole,
    whole_costs,
    whole_latency,
)
from benchmarks.plan import Plan
from benchmarks.results import Results
from benchmarks.rows import ROWS, TITLES, WHOLE, Row, Whole
from benchmarks.rows.ours import Ours
from benchmarks.rows.whole import PROCESSORS, OneProcessor
from benchmarks.stage import Failed, Stage
from benchmarks.stream import Stream

LEAST = {"peer": 2_000, "ours": 10_000, "limit": 10_000}
"""Events of a drain at least: several commits of whoever works in batches."""
LEAST_WHOLE = {"peer": 500, "ours": 2_500, "limit": 5_000}
"""The same of the whole system."""
LEAST_RELAYED = 20_000
"""Events for the relay alone at least: several of its pages."""

Numbers = Iterator[tuple[str, Mapping[str, float]]]


class Run:
    """One plan on one stage."""

    def __init__(self, stage: Stage, plan: Plan) -> None:
        self.stage, self.plan = stage, plan
        self.results = Results(about=about(stage, plan))
        chosen = [ROWS[key] for key in plan.rows or ROWS if key in ROWS]
        missing = {row.key: reason for row in chosen if (reason := row.missing(stage))}
        self.results.missing = missing
        self.rows: list[Row] = [row for row in chosen if row.key not in missing]
        for key, reason in missing.items():
            say(f"{TITLES[key]}: left out, {reason}")
        self.whole = [WHOLE[key] for key in plan.rows or WHOLE if key in WHOLE]

    def all(self) -> Results:
        """Round after round, so that what changes on the machine meanwhile falls on every row."""
        for number in range(1, self.plan.rounds + 1):
            for measure in self.plan.measures:
                if number == 1 or measure not in ("held", "growth"):
                    say(f"round {number} of {self.plan.rounds}: {measure}")
                    getattr(self, f"_{measure}")()
        return self.results

    def _drain(self) -> None:
        for row in self.rows:
            count = max(LEAST[row.kind], int(self.plan.events * row.scale))
            self._one("drain", row, drain.measure, row, self._file(count), count, totals(gifts(count)))

    def _latency(self) -> None:
        file = self._file(self.plan.events)
        for rate in self.plan.rates:
            seconds = min(self.plan.latency_seconds, (self.plan.events - 100) / rate)
            for row in self.rows:
                if row.kind != "limit" and (rate <= self.plan.slowest or (row.kind == "ours" and row.effects == 1)):
                    self._one(f"latency at {rate:,}/s", row, latency.measure, row, file, rate, seconds)

    def _hop(self) -> None:
        self._many("hop", hop.measure, min(self.plan.rates), self.plan.latency_seconds)

    def _publishing(self) -> None:
        self._many("publishing", publishing.measure, self.plan.publishing)

    def _relay(self) -> None:
        count = max(LEAST_RELAYED, self.plan.events)
        for row in self._ours("ours", "ours-rabbitmq"):
            self._one("relay", row, relaying.measure, row, self._file(count), count)

    def _mail(self) -> None:
        self._many("mail", mail.measure, self.plan.mails)

    def _batches(self) -> None:
        for row in self._ours("ours"):
            self._many("batches", batches.measure, row, self._file(self.plan.batches), self.plan.batches)

    def _idle(self) -> None:
        for row in self._ours("ours", "ours-rabbitmq"):
            self._one("idle", row, idle.measure, row, self._file(self.plan.events), self.plan.idle_seconds)

    def _rebuild(self) -> None:
        count, plan = self.plan.rebuild_events, self.plan
        for row in self._ours("ours"):
            self._one("rebuild", row, rebuild.measure, row, self._file(count), count, plan.rebuild_rate,
                      plan.rebuild_seconds)  # fmt: skip

    def _whole(self) -> None:
        for row in self.whole:
            self._one("whole", row, whole.measure, row, self._stream(row, self.plan.whole))

    def _whole_latency(self) -> None:
        for rate in self.plan.whole_rates:
            seconds = self.plan.latency_seconds
            stream = Stream(whole_latency.WARM + int(rate * seconds))
            for row in self.whole:
                if row.kind != "limit" and row.over_http:
                    self._one(f"whole at {rate:,}/s", row, whole_latency.measure, row, stream, rate, seconds)

    def _whole_costs(self) -> None:
        alone = [OneProcessor(name) for name in PROCESSORS] if any(row.key == "whole" for row in self.whole) else []
        for row in self.whole:
            if row.over_http and row.kind != "limit":
                self._one("whole_costs", row, whole_costs.measure, row, self._stream(row, self.plan.whole_costs))
        for one in alone:
            self._one("whole_costs", one, whole_costs.measure, one, Stream(self.plan.whole_costs, one.kinds))

    def _stream(self, row: Whole, events: int) -> Stream:
        return Stream(max(LEAST_WHOLE[row.kind], int(events * row.scale)))

    def _processes(self) -> None:
        count = max(LEAST["ours"], self.plan.events)
        for _ in self._ours("ours"):
            self._many("processes", processes.measure, self._file(count), count, totals(gifts(count)))

    def _held(self) -> None:
        for row in self._ours("ours"):
            plan = self.plan
            self._one("held", row, held.measure, row, plan.held_events, plan.held_rate, plan.held_seconds)

    def _growth(self) -> None:
        self._many("growth", growth.measure, self.plan.growth_small, self.plan.growth_large)

    def _ours(self, *keys: str) -> Iterator[Ours]:
        return (row for row in self.rows if row.key in keys and isinstance(row, Ours))

    def _file(self, count: int) -> Path:
        return write(self.stage.folder / f"gifts-{count}.jsonl", count)

    def _one(self, measure: str, row: Row | Whole, action: Callable[..., Mapping[str, float]], *given: Any) -> None:
        self._many(measure, lambda *all_given: iter([(row.key, action(*all_given))]), *given)

    def _many(self, measure: str, action: Callable[..., Numbers], *given: Any) -> None:
        began = time.monotonic()
        try:
            for row, numbers in action(self.stage, *given):
                self.results.add(measure, row, numbers)
                told = ", ".join(f"{name} {value:,.4g}" for name, value in numbers.items())
                say(f"  {measure}, {row}: {told} ({time.monotonic() - began:.0f} s)")
        except (Failed, AssertionError) as error:
            self.results.failures.append(f"{measure}: {str(error).splitlines()[0]}")
            say(f"  {measure}: FAILED: {error}")


def about(stage: Stage, plan: Plan) -> dict[str, object]:
    """The machine and the versions."""
    with psycopg.connect(stage.postgres.dsn) as db:
        (server,) = db.execute("SHOW server_version").fetchone() or ("?",)
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "postgresql": server,
        "celery": version("celery"),
        "rounds": plan.rounds,
        "events": plan.events,
        "mails": plan.mails,
        "held_seconds": plan.held_seconds,
        "growth_small": plan.growth_small,
        "growth_large": plan.growth_large,
        "load": round(os.getloadavg()[0], 1),
        "date": time.strftime("%Y-%m-%d"),
    }


def say(what: str) -> None:
    """Progress, on stderr."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {what}\n")
    sys.stderr.flush()
