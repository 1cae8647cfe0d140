"""More worker processes than cores: what the rows cost that all of them want, those of the popular campaigns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from uuid import UUID

from benchmarks.data import Total
from benchmarks.measures import drain
from benchmarks.rows.ours import Ours
from benchmarks.stage import Place, Stage
from tests.support.platform import Process

NUMBERS = (4, 8)
QUANTITIES = ("events_per_s", "client_cpu_us", "server_cpu_us")


class OursWith(Ours):
    """Campaign statistics, with this many worker processes."""

    def __init__(self, children: int) -> None:
        super().__init__()
        self._children = children

    def start(self, place: Place) -> dict[str, Process]:
        """The worker, and when it is ready the relay."""
        worker = self.start_worker(place, self._children)
        return {"worker": worker, "relay": self.start_relay(place)}


def measure(
    stage: Stage, file: Path, count: int, expected: Mapping[UUID, Total]
) -> Iterator[tuple[str, dict[str, float]]]:
    """Events a second of a drain, by the number of processes."""
    for children in NUMBERS:
        found = drain.measure(stage, OursWith(children), file, count, expected)
        yield (
            f"{children} processes",
            {name: found[name] for name in ("events_per_s", "client_cpu_us", "server_cpu_us")},
        )
