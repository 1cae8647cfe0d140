"""Times of requests, one at a time; what their statements read; and the processor time of a process with open tabs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import quantiles
from typing import Any, NamedTuple

import httpx
import psycopg

from benchmarks.console.requests import Asked
from benchmarks.usage import cpu_seconds
from fundlyhub.console.pace import EVERY, HEADER

WARM_UP = 6.0
"""Seconds at most before processor time is counted: what is kept is there, and the tabs have found their pace."""
OURS = "%pg_stat_statements%"

_LARGEST = """
    SELECT (shared_blks_hit + shared_blks_read) / calls, rows / calls, mean_exec_time, query
    FROM pg_stat_statements WHERE query NOT LIKE %s ORDER BY 1 DESC LIMIT 1
"""


class Statement(NamedTuple):
    """The statement that read the most: its pages of 8 kB, its rows and its milliseconds, each of one call."""

    blocks: int
    rows: int
    ms: float
    text: str


@dataclass(frozen=True, slots=True)
class Timed:
    """Something that was requested: milliseconds at the median and at p95, bytes of the answer, and its statement."""

    asked: Asked
    p50: float
    p95: float
    bytes: int
    statement: Statement | None


class Visitor(NamedTuple):
    """Somebody with a session, and a program with a token."""

    pages: httpx.Client
    api: httpx.Client
    csrf: str


def timed(
    one: Asked, visitor: Visitor, db: psycopg.Connection[Any], samples: Mapping[str, Sequence[str]], rounds: int
) -> Timed:
    """Request one thing again and again, each time with other ids. Raises RuntimeError for an answer that is none."""
    db.execute("SELECT pg_stat_statements_reset()")
    times: list[float] = []
    size = 0
    for turn in range(rounds):
        path, form = one.filled(samples, turn)
        began = time.perf_counter()
        if form is not None:
            answer = visitor.pages.post(path, data={**form, "csrf": visitor.csrf})
        else:
            answer = (visitor.api if one.is_api else visitor.pages).get(path)
        times.append((time.perf_counter() - began) * 1_000)
        if answer.status_code not in (200, 303) and not one.is_unknown:
            raise RuntimeError(f"{path}: {answer.status_code} {answer.text[:300]}")
        size = max(size, len(answer.content))
    row = db.execute(_LARGEST, (OURS,)).fetchone()
    cuts = quantiles(times, n=20, method="inclusive")
    return Timed(one, cuts[9], cuts[18], size, Statement(*row) if row else None)


class Shares(NamedTuple):
    """Percent of a core: of the console, and of its servers."""

    console: float
    servers: float


def shares(console: int, servers: Sequence[int], visitor: Visitor, tabs: Sequence[str], seconds: float) -> Shares:
    """What processes use while these paths are open, each in a tab that looks again when it is told to (console.js)."""
    warm_up = min(seconds, WARM_UP)
    end = time.monotonic() + seconds + warm_up

    def tab(number: int, path: str) -> None:
        time.sleep(EVERY * number / len(tabs))
        while time.monotonic() < end:
            answer = visitor.pages.get(path, headers={"HX-Request": "true"})
            if HEADER not in answer.headers:
                raise RuntimeError(f"{path}: {answer.status_code} {answer.text[:300]}")
            time.sleep(float(answer.headers[HEADER]))

    with ThreadPoolExecutor(max(1, len(tabs))) as pool:
        running = [pool.submit(tab, number, path) for number, path in enumerate(tabs)]
        time.sleep(warm_up)
        before, began = (cpu_seconds([console]), cpu_seconds(servers)), time.monotonic()
        time.sleep(max(0.0, end - time.monotonic()))
        passed = time.monotonic() - began
        used = Shares(
            *(
                100 * (now - then) / passed
                for now, then in zip((cpu_seconds([console]), cpu_seconds(servers)), before, strict=True)
            )
        )
        for one in running:
            one.result()
    return used
