"""Checking: every number of the read model against the business tables, and the clocks of both ends."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg

from fundlyhub.database import connect
from fundlyhub.demo import business
from fundlyhub.settings import Settings

COLUMNS = (
    "total_raised", "donation_count", "average_donation", "unique_donors", "largest_donation", "first_donation_at",
    "last_donation_at", "refund_count", "total_refunded",
)  # fmt: skip

_FOUND = """
    SELECT campaign_id, currency, total_raised, donation_count, average_donation, unique_donors, largest_donation,
           first_donation_at, last_donation_at, refund_count, total_refunded
    FROM campaign_stats_projection WHERE campaign_id = ANY (%(campaigns)s)
"""
_COMMITTED = """
    SELECT position, coalesce(pg_xact_commit_timestamp(xid::xid), recorded_at)
    FROM events.events WHERE position = ANY (%(positions)s)
"""
_APPLIED = """
    SELECT position, coalesce(pg_xact_commit_timestamp(xmin), processed_at)
    FROM processed_events WHERE processor = 'campaign_stats' AND position = ANY (%(positions)s)
"""
_CLAIMS = "SELECT count(*) FROM processed_events WHERE processor = 'campaign_stats' AND position = ANY (%(positions)s)"

Key = tuple[UUID, str]
Numbers = Mapping[Key, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both sides, by campaign and currency, and where they differ."""

    expected: Numbers
    found: Numbers
    titles: Mapping[UUID, str]
    mismatches: list[dict[str, Any]]


def compare(settings: Settings, run: int) -> Comparison:
    """Compare every number of every campaign of a run; missing and surplus campaigns differ too."""
    with connect("events", settings=settings) as db:
        titles: dict[UUID, str] = dict(db.execute(business.CAMPAIGNS, (run,)).fetchall())
        expected = _numbers(db.execute(business.EXPECTED, {"run": run}))
    with connect("analytics", settings=settings) as db:
        found = _numbers(db.execute(_FOUND, {"campaigns": list(titles)}))
    return Comparison(expected, found, titles, list(_mismatches(expected, found)))


def claims(settings: Settings, positions: Sequence[int]) -> int:
    """How many of these positions are applied."""
    with connect("analytics", settings=settings) as db:
        row = db.execute(_CLAIMS, {"positions": list(positions)}).fetchone()
    return int(row[0]) if row else 0


@dataclass(frozen=True, slots=True)
class Clock:
    """When events were committed and when their effects were, by position, and by whose clock."""

    committed: Mapping[int, datetime]
    applied: Mapping[int, datetime]
    source: str

    def rate(self) -> float:
        """Events per second, from the first commit to the last effect."""
        span = (max(self.applied.values()) - min(self.committed.values())).total_seconds()
        return len(self.committed) / span

    def latency_ms(self) -> dict[str, float]:
        """Milliseconds from an event's commit to that of its effect."""
        waits = sorted(
            (self.applied[position] - at).total_seconds() * 1_000
            for position, at in self.committed.items()
            if position in self.applied
        )
        cuts = statistics.quantiles(waits, n=100, method="inclusive")
        return {name: round(cuts[rank - 1], 1) for name, rank in (("p50", 50), ("p95", 95), ("p99", 99))}


def clock(settings: Settings, positions: Sequence[int]) -> Clock:
    """The times of these events, from the servers' commit timestamps where they keep them."""
    with connect("events", settings=settings) as events, connect("analytics", settings=settings) as analytics:
        if keeps := _keeps_commit_times(events) and _keeps_commit_times(analytics):
            committed, applied = _COMMITTED, _APPLIED
        else:
            committed = _COMMITTED.replace("pg_xact_commit_timestamp(xid::xid)", "NULL")
            applied = _APPLIED.replace("pg_xact_commit_timestamp(xmin)", "NULL")
        return Clock(
            dict(events.execute(committed, {"positions": list(positions)}).fetchall()),
            dict(analytics.execute(applied, {"positions": list(positions)}).fetchall()),
            "commit timestamps of the server" if keeps else "starts of the transactions (no commit timestamps kept)",
        )


def _keeps_commit_times(db: psycopg.Connection[Any]) -> bool:
    row = db.execute("SHOW track_commit_timestamp").fetchone()
    return row == ("on",)


def _numbers(rows: psycopg.Cursor[Any]) -> Numbers:
    return {(row[0], row[1]): row[2:] for row in rows}


def _mismatches(expected: Numbers, found: Numbers) -> Any:
    nothing = (None,) * len(COLUMNS)
    for key in sorted(expected.keys() | found.keys()):
        sides = zip(COLUMNS, expected.get(key, nothing), found.get(key, nothing), strict=True)
        for column, should, is_ in sides:
            if should != is_:
                yield {
                    "campaign_id": str(key[0]), "currency": key[1], "column": column,
                    "expected": _shown(should), "found": _shown(is_),
                }  # fmt: skip


def _shown(value: Any) -> Any:
    return value if value is None or isinstance(value, int) else str(value)
