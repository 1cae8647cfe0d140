"""A transaction that is held open: whether all goes on as fast while nothing can be vacuumed behind it.

Two things are asked. While it is open, events come at a steady rate: are they applied at that rate, and how late? And
what can be drained at its end, beside what can be drained when it is over and all is vacuumed? Before it, too, but then
the tables are smaller by all the events of the steady rate, and each insert into their indexes is cheaper.
"""

from __future__ import annotations

import statistics
import time
from itertools import islice

import psycopg

from benchmarks.data import gifts, totals
from benchmarks.log import copy
from benchmarks.measures.drain import wait
from benchmarks.results import percentiles
from benchmarks.rows.ours import Ours
from benchmarks.stage import Place, Stage

ENDLESS = 10**12
ROUNDS = 3
"""Drains before it, after one that warms up; at its end; and when it is over."""
POLL = 2.0
"""Seconds between two looks whether a drain has ended: each passes all former versions, and is not what is measured."""
TICK = 0.05
"""Seconds between two transactions of the steady publisher."""

_DRAINED = """
    WITH claims AS (
        SELECT pg_xact_commit_timestamp(xmin) AS at FROM analytics.processed_events WHERE position > %s
    ), first AS (SELECT min(at) AS at FROM claims)
    SELECT count(*) FILTER (WHERE claims.at > first.at) / extract(epoch FROM max(claims.at) - min(claims.at))::float8
    FROM claims, first
"""
# Of the events after ``mark``: how many were published a second, and how many claims were committed a second meanwhile.
_KEPT = """
    WITH published AS (
        SELECT pg_xact_commit_timestamp(xid::xid) AS at FROM events.events WHERE position > %(mark)s
    ), span AS (
        SELECT min(at) AS first, max(at) AS last, extract(epoch FROM max(at) - min(at))::float8 AS seconds
        FROM published
    ), applied AS (
        SELECT pg_xact_commit_timestamp(xmin) AS at FROM analytics.processed_events WHERE position > %(start)s
    )
    SELECT (SELECT count(*) FROM published) / seconds,
           (SELECT count(*) FROM applied WHERE at BETWEEN first AND last) / seconds
    FROM span
"""
_LATENCIES = """
    SELECT 1000 * extract(
        epoch FROM pg_xact_commit_timestamp(claim.xmin) - pg_xact_commit_timestamp(event.xid::xid)
    )::float8
    FROM events.events event JOIN analytics.processed_events claim USING (position) WHERE position > %s
"""
# A writer with a snapshot: it holds back vacuum, and its xid stays in every window of the relay.
_HOLD = "INSERT INTO bench.users (id, name, email) VALUES (gen_random_uuid(), 'held', 'held')"


class Flow:
    """Events that go into the log, and their effects."""

    def __init__(self, place: Place, row: Ours, publisher: psycopg.Connection) -> None:
        self._place, self._row, self._publisher = place, row, publisher
        self._lines = (gift.line() for gift in gifts(ENDLESS))
        self.published = 0

    def drain(self, count: int) -> float:
        """Publish this many at once; return how many of them are applied a second."""
        start = self.published
        self._publish(count)
        wait(self._place, self._row, self.published, POLL)
        return float(self._place.value(_DRAINED, start))

    def keep(self, rate: float, seconds: float) -> dict[str, float]:
        """A steady rate for so long; of its last third, what was published and applied a second, and how late."""
        start, began, ticks = self.published, time.monotonic(), int(seconds / TICK)
        mark = start
        for tick in range(ticks):
            time.sleep(max(0.0, began + tick * TICK - time.monotonic()))
            if tick == ticks * 2 // 3:
                mark = self.published
            self._publish(max(1, round(rate * TICK)))
        wait(self._place, self._row, self.published, POLL)
        (row,) = self._place.db.execute(_KEPT, {"start": start, "mark": mark})
        latencies = [value for (value,) in self._place.db.execute(_LATENCIES, (mark,))]
        return {"offered_per_s": row[0], "kept_per_s": row[1], "kept_p99": percentiles(latencies)["p99"]}

    def _publish(self, count: int) -> None:
        copy(self._publisher, islice(self._lines, count))
        self.published += count


def measure(stage: Stage, row: Ours, per_round: int, rate: float, seconds: float) -> dict[str, float]:
    """The steady rate, drains before it, at its end and when it is over, and the shares that are lost."""
    with (
        stage.place(row.broker) as place,
        psycopg.connect(place.dsn) as held,
        psycopg.connect(place.dsn) as publisher,
    ):
        flow = Flow(place, row, publisher)
        row.start(place)
        flow.drain(per_round)
        # Plans that were made for empty tables are made anew: else every round reads more, with or without the hold.
        place.db.execute("VACUUM ANALYZE")
        before = statistics.median(flow.drain(per_round) for _ in range(ROUNDS))
        held.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        held.execute(_HOLD)
        began = time.monotonic()
        kept = flow.keep(rate, seconds)
        at_its_end = statistics.median(flow.drain(per_round) for _ in range(ROUNDS))
        held_for = time.monotonic() - began
        held.rollback()
        place.db.execute("VACUUM ANALYZE")
        over = statistics.median(flow.drain(per_round) for _ in range(ROUNDS))
        row.verify(place, totals(gifts(flow.published)))
    return {
        **kept,
        "kept_lost": 1 - kept["kept_per_s"] / kept["offered_per_s"],
        "before_per_s": before,
        "held_per_s": at_its_end,
        "over_per_s": over,
        "lost": 1 - at_its_end / over,
        "held_s": held_for,
    }
