"""Timing a read, and the plan that the server made for it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection

ROUNDS = 15


class Measured(NamedTuple):
    """One read: how many rows it gave, its median in milliseconds, and its plan where that is told."""

    what: str
    rows: int
    ms: float
    plan: str | None


def median_ms(read: Callable[[], object]) -> float:
    """The median of some rounds; the first one, which may fetch from the disk, does not count."""
    read()
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        read()
        times.append((time.perf_counter() - began) * 1_000)
    return statistics.median(times)


def planned(db: Connection, sql: str, given: Mapping[str, Any]) -> str:
    """What the server does for a statement, and what it touches."""
    rows = db.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, SUMMARY OFF) {sql}", dict(given))
    return "\n".join(row[0] for row in rows)
