"""dramatiq on Valkey, two processes of four threads."""

from __future__ import annotations

from benchmarks.rows.row import PythonPeer
from benchmarks.stage import PEERS_PYTHON, Place
from tests.support.platform import Process


class Dramatiq(PythonPeer):
    """Messages in Valkey."""

    key = "dramatiq"
    title = "dramatiq on Valkey"
    broker = "valkey"
    module = "benchmarks.peers.with_dramatiq"

    def start(self, place: Place) -> dict[str, Process]:
        """Its own command line."""
        argv = [str(PEERS_PYTHON), "-m", "dramatiq", self.module, "--processes", str(self.processes), "--threads", "4"]
        return {"worker": place.start("worker", argv)}
