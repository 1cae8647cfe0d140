"""A transaction that is held open: whether the throughput stays flat while nothing can be vacuumed behind it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from itertools import count, islice

import psycopg

from benchmarks.data import gifts, totals
from benchmarks.log import fill_from
from benchmarks.measures.drain import wait
from benchmarks.rows.ours import Ours
from benchmarks.stage import Place, Stage

ENDLESS = 10**12
BEFORE = 3
"""Rounds without it, after one that warms up; and the least number of those that count while it is held."""

_SPAN = """
    WITH claims AS (
        SELECT pg_xact_commit_timestamp(xmin) AS at FROM analytics.processed_events WHERE position > %s
    ), first AS (SELECT min(at) AS at FROM claims)
    SELECT count(*) FILTER (WHERE claims.at > first.at) / extract(epoch FROM max(claims.at) - min(claims.at))::float8
    FROM claims, first
"""
# A writer with a snapshot: it holds back vacuum, and its xid stays in every window of the relay.
_HOLD = "INSERT INTO bench.users (id, name, email) VALUES (gen_random_uuid(), 'held', 'held')"


def _rounds(place: Place, row: Ours, per_round: int) -> Iterator[float]:
    """Publish so many events and wait for their effects, again and again; events a second of each round."""
    lines = (gift.line() for gift in gifts(ENDLESS))
    for done in count(per_round, per_round):
        fill_from(place.dsn, islice(lines, per_round))
        wait(place, row, done)
        yield float(place.value(_SPAN, done - per_round))


def measure(stage: Stage, row: Ours, per_round: int, seconds: float) -> dict[str, float]:
    """Drain rates before it and at its end, and the share that is lost."""
    with stage.place(row.broker) as place, psycopg.connect(place.dsn) as held:
        rounds = _rounds(place, row, per_round)
        row.start(place)
        next(rounds)
        # Plans that were made for empty tables are made anew: else every round reads more, with or without the hold.
        place.db.execute("VACUUM ANALYZE")
        before = [next(rounds) for _ in range(BEFORE)]
        held.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        held.execute(_HOLD)
        began = time.monotonic()
        during: list[float] = []
        while time.monotonic() - began < seconds or len(during) < BEFORE:
            during.append(next(rounds))
        late = during[-max(BEFORE, len(during) // 3) :]
        held_for = time.monotonic() - began
        held.rollback()
        published = int(place.value("SELECT count(*) FROM events.events"))
        row.verify(place, totals(gifts(published)))
    before_rate, late_rate = statistics.median(before), statistics.median(late)
    return {
        "before_per_s": before_rate,
        "held_per_s": late_rate,
        "lost": 1 - late_rate / before_rate,
        "held_s": held_for,
    }
