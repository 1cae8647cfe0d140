"""The limit: the same statements by psycopg alone, on as many processes as our worker has children."""

from __future__ import annotations

from pathlib import Path

from benchmarks.rows.ours import CHILDREN, Ours
from benchmarks.stage import PYTHON, Place
from tests.support.platform import Process


class Limit(Ours):
    """No relay, no broker, no framework. It ends with the backlog, and so has no latency."""

    key = "limit"
    title = "the limit: the same statements in psycopg, nothing else"
    kind = "limit"
    broker = None

    def start(self, place: Place) -> dict[str, Process]:
        """Each takes every other batch."""
        module = [PYTHON, "-m", "benchmarks.peers.limit"]
        return {f"worker {n}": place.start("limit", [*module, str(n), str(CHILDREN)]) for n in range(CHILDREN)}

    def publisher(self, place: Place, file: Path, rate: float, seconds: float) -> list[str]:
        """None."""
        raise NotImplementedError("the limit drains a backlog, and nothing else")
