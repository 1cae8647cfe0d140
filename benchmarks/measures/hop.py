"""The hop: what Celery itself takes from the call of a task to its first line, with a task that does nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.peers.work import WARM
from benchmarks.results import percentiles
from benchmarks.stage import PYTHON, Place, Stage
from tests.support.platform import wait_until

MODULE = "benchmarks.peers.celery_hop"


def measure(stage: Stage, rate: float, seconds: float) -> Iterator[tuple[str, dict[str, float]]]:
    """Percentiles in milliseconds, on Valkey, with two children that wait for work."""
    with stage.place("valkey") as place:
        hops = place.folder / "hops"
        argv = [PYTHON, "-m", "celery", "-A", MODULE, "worker", "-c", "2"]
        place.start("worker", [*argv, "--without-gossip", "--without-mingle", "-l", "WARNING"], BENCH_HOPS=str(hops))
        _sent(place, hops, WARM, rate)
        hops.unlink()
        yield "Celery on Valkey", percentiles(_sent(place, hops, int(rate * seconds), rate))


def _sent(place: Place, hops: Path, count: int, rate: float) -> list[float]:
    """The time that each of this many calls took."""
    place.run([PYTHON, "-m", MODULE, str(count), str(rate)])

    def all_there() -> bool:
        place.check_alive()
        return hops.exists() and hops.read_text().count("\n") == count

    wait_until(all_there, what="the tasks")
    return [float(line) for line in hops.read_text().splitlines()]
