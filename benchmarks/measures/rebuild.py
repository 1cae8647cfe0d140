"""Rebuild: its speed against the drain of the same events, what it costs live events, and how long the swap locks.

All in one place: the backlog is drained; the tables are rebuilt from the log; then events are published at a steady
rate, in turns with and without a rebuild beside them; last, tables are swapped and put back under that load. Speeds are
the server's, from the first commit with a claim to the last, as in a drain. Afterwards `verify` must find nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, count
from pathlib import Path
from typing import Any

from benchmarks.data import Gift, gifts, totals, write_gifts
from benchmarks.measures.drain import POLL, SPAN, wait
from benchmarks.results import percentiles
from benchmarks.rows.ours import Ours
from benchmarks.stage import PYTHON, Failed, Place, Stage

TURNS = 2
"""With a rebuild, and without one."""
EXCHANGING = 3
"""Times as long as a turn events are published while tables are exchanged: two commands have to start meanwhile."""
WARM = 20
STATS = "campaign_stats"

_REPLAYED = "SELECT event_id, pg_xact_commit_timestamp(xmin) FROM {schema}.processed_events"
_LATENCIES = """
    SELECT extract(epoch FROM applied.at - committed.at)::float8 * 1000
    FROM ({committed} WHERE position > %s) AS committed(event_id, at)
    JOIN ({applied}) AS applied(event_id, at) USING (event_id)
    ORDER BY committed.at
"""


def measure(stage: Stage, row: Ours, file: Path, events: int, rate: float, seconds: float) -> dict[str, float]:
    """One run. Raises Failed when it stalls, or anything is wrong afterwards."""
    with stage.place(row.broker, row.backlog(stage, file, events)) as place:
        return _Rebuilding(row, place, events, rate, seconds).all()


class _Rebuilding:
    def __init__(self, row: Ours, place: Place, events: int, rate: float, seconds: float) -> None:
        self._row, self._place, self._rate, self._seconds = row, place, rate, seconds
        self._published, self._given = events, [gifts(events)]
        self._numbers = count(2)  # seeds: each turn has donations of its own

    def all(self) -> dict[str, float]:
        row, place = self._row, self._place
        place.db.execute("ANALYZE")
        place.db.execute("CHECKPOINT")
        row.start(place)
        wait(place, row, self._published)
        drained = self._speed(row.applied)
        row.start_worker(place, queues="rebuilds")
        filled = self._filled(self._published)
        place.db.execute("CHECKPOINT")
        alone, beside = self._turns()
        swapped, undone = self._swapped()
        self._check()
        return {
            "drain_per_s": drained, "rebuild_per_s": filled, "ratio": filled / drained,
            "p50": alone["p50"], "p99": alone["p99"], "p50_beside": beside["p50"], "p99_beside": beside["p99"],
            "p99_ratio": beside["p99"] / alone["p99"], "swap_ms": swapped, "undo_ms": undone,
        }  # fmt: skip

    def _filled(self, claims: int) -> float:
        """Events a second of a rebuild that is cancelled afterwards."""
        schema = self._run("start")["schema"]
        self._following(claims)
        speed = self._speed(_REPLAYED.format(schema=schema))
        self._run("cancel")
        return speed

    def _turns(self) -> tuple[dict[str, float], dict[str, float]]:
        """Latencies without a rebuild, and while one is filled."""
        alone: list[float] = []
        beside: list[float] = []
        for _ in range(TURNS):
            alone += self._latencies()
            self._run("start")
            beside += self._latencies()
            self._run("cancel")
        return percentiles(alone), percentiles(beside)

    def _swapped(self) -> tuple[float, float]:
        """Milliseconds of the locks of a swap and its undoing, while events come."""
        self._run("start")
        self._following(self._published)
        with ThreadPoolExecutor(1) as threads:
            publishing = threads.submit(self._latencies, EXCHANGING)
            swapped = self._run("swap")["locked_ms"]
            undone = self._run("undo")["locked_ms"]
            publishing.result()
        self._run("prune")
        return swapped, undone

    def _latencies(self, times: int = 1) -> list[float]:
        """Of events that are published now, in milliseconds."""
        seconds = times * self._seconds
        row, place, number = self._row, self._place, next(self._numbers)
        some = WARM + int(self._rate * seconds)
        file = write_gifts(place.folder / f"gifts-{number}.jsonl", gifts(some, seed=number))
        before = place.value("SELECT max(position) FROM events.events")
        said = json.loads(place.run(row.publisher(place, file, self._rate, seconds)))
        published = said["warm"] + said["published"]
        self._published += published
        self._given.append(_first(published, number))
        wait(place, row, self._published)
        sql = _LATENCIES.format(committed=row.committed, applied=row.applied)
        return [value for (value,) in place.db.execute(sql, (before,))][said["warm"] :]

    def _following(self, claims: int) -> None:
        schema = self._run("status")["schema"]
        looked = f"SELECT count(*) FROM {schema}.processed_events"
        self._place.wait_for(lambda: int(self._place.value(looked)), claims, "claims of the rebuild", poll=POLL)
        while self._run("status", "--wait", "60")["phase"] != "following":
            self._place.check_alive()

    def _speed(self, applied: str) -> float:
        counted, seconds = self._place.db.execute(SPAN.format(applied=applied)).fetchone() or (0, 0.0)
        if not counted:
            raise Failed("all events were applied in one commit; give it more of them")
        return float(counted) / float(seconds)

    def _run(self, verb: str, *options: str) -> Any:
        argv = [PYTHON, "-m", "fundlyhub", "rebuild", verb, STATS, *options, "--json"]
        return json.loads(self._place.run(argv))

    def _check(self) -> None:
        self._row.verify(self._place, totals(chain.from_iterable(self._given)))
        self._place.run([PYTHON, "-m", "fundlyhub", "verify", "--json", "--processor", STATS])


def _first(published: int, seed: int) -> Iterator[Gift]:
    return gifts(published, seed=seed)
