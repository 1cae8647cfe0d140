"""Throughput and latency: from the commit of events to the commit of their last effects."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from fundlyhub.database import connect
from fundlyhub.settings import Settings

_COMMITTED = """
    SELECT position, coalesce(pg_xact_commit_timestamp(xid::xid), recorded_at)
    FROM events.events WHERE position = ANY (%(positions)s)
"""
_APPLIED = """
    SELECT position, max(coalesce(pg_xact_commit_timestamp(xmin), processed_at))
    FROM processed_events WHERE processor = ANY (%(processors)s) AND position = ANY (%(positions)s)
    GROUP BY position
"""
_CLAIMS = """
    SELECT count(*) FROM processed_events WHERE processor = ANY (%(processors)s) AND position = ANY (%(positions)s)
"""


def claims(settings: Settings, processors: Sequence[str], positions: Sequence[int]) -> int:
    """How many effects these events have had by now, in all these processors."""
    found = 0
    for branch in ("app", "analytics"):
        with connect(branch, settings=settings) as db:
            row = db.execute(_CLAIMS, {"processors": list(processors), "positions": list(positions)}).fetchone()
            found += int(row[0]) if row else 0
    return found


@dataclass(frozen=True, slots=True)
class Clock:
    """The times of commits and of last effects, by position, and the source of these times."""

    committed: Mapping[int, datetime]
    applied: Mapping[int, datetime]
    source: str

    def rate(self) -> float:
        """Events per second, from the first commit to the last effect."""
        span = (max(self.applied.values()) - min(self.committed.values())).total_seconds()
        return len(self.committed) / span

    def latency_ms(self) -> dict[str, float]:
        """Milliseconds from an event's commit to that of the last of its effects."""
        waits = sorted(
            (self.applied[position] - at).total_seconds() * 1_000
            for position, at in self.committed.items()
            if position in self.applied
        )
        cuts = statistics.quantiles(waits, n=100, method="inclusive")
        return {name: round(cuts[rank - 1], 1) for name, rank in (("p50", 50), ("p95", 95), ("p99", 99))}


def clock(settings: Settings, processors: Sequence[str], positions: Sequence[int]) -> Clock:
    """The times of these events, from the servers' commit timestamps where they keep them."""
    given = {"positions": list(positions), "processors": list(processors)}
    with (
        connect("events", settings=settings) as events,
        connect("app", settings=settings) as app,
        connect("analytics", settings=settings) as analytics,
    ):
        committed, applied = _COMMITTED, _APPLIED
        if not (keeps := all(map(_keeps_commit_times, (events, app, analytics)))):
            committed = committed.replace("pg_xact_commit_timestamp(xid::xid)", "NULL")
            applied = applied.replace("pg_xact_commit_timestamp(xmin)", "NULL")
        last: dict[int, datetime] = {}
        for db in (app, analytics):
            for position, at in db.execute(applied, given):
                last[position] = max(at, last.get(position, at))
        return Clock(
            dict(events.execute(committed, given).fetchall()),
            last,
            "commit timestamps of the server" if keeps else "starts of the transactions (no commit timestamps kept)",
        )


def _keeps_commit_times(db: psycopg.Connection[Any]) -> bool:
    row = db.execute("SHOW track_commit_timestamp").fetchone()
    return row == ("on",)
