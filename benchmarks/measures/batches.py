"""Batches: what the executor gains by them, in this process, without relay and broker."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.data import gifts, totals
from benchmarks.rows.ours import Ours
from benchmarks.stage import Stage
from fundlyhub import garbage
from fundlyhub.processing.executor import execute
from fundlyhub.processors.projections.campaign_stats import CampaignStatsProcessor
from fundlyhub.testing.databases import settings_of

SIZES = (1, 10, 100, 500, 2_000)
SHARE = 10
"""Batches of one get this part of the events."""


def measure(stage: Stage, row: Ours, file: Path, count: int) -> Iterator[tuple[str, dict[str, float]]]:
    """Events a second by size of batch."""
    for size in SIZES:
        some = count // SHARE if size == 1 else count
        with stage.place(row.broker, row.backlog(stage, file, count)) as place:
            ours = {name: value for name, value in place.environment.items() if name.startswith("FUNDLYHUB_")}
            with settings_of(ours), _garbage_as_in_a_worker():
                began = time.perf_counter()
                for start in range(0, some, size):
                    execute(CampaignStatsProcessor, range(start + 1, min(start + size, some) + 1))
                rate = some / (time.perf_counter() - began)
            row.verify(place, totals(gifts(some)))
        yield f"{size:,} a batch", {"events_per_s": rate}


@contextmanager
def _garbage_as_in_a_worker() -> Iterator[None]:
    """Without it the largest batches, which make the most objects, come out slower than smaller ones."""
    thresholds = gc.get_threshold()
    garbage.tune()
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
