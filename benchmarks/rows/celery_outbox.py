"""The average team's Celery outbox, on the same Celery and the same Valkey as ours."""

from __future__ import annotations

from benchmarks.rows.row import Peer
from benchmarks.stage import PYTHON, Place
from tests.support.platform import Process


class CeleryOutbox(Peer):
    """A relay that polls an outbox, and a worker with two children that gets one task an event."""

    key = "celery-outbox"
    title = "average team's Celery: outbox, a task per event"
    broker = "valkey"

    def program(self) -> list[str]:
        """It runs in our environment: its Celery is ours."""
        return [PYTHON, "-m", "benchmarks.peers.celery_outbox"]

    def start(self, place: Place) -> dict[str, Process]:
        """Worker and relay."""
        argv = [PYTHON, "-m", "celery", "-A", "benchmarks.peers.celery_outbox", "worker", "-c", str(self.processes)]
        argv += ["--without-gossip", "--without-mingle", "-l", "WARNING"]
        return {
            "worker": place.start("worker", argv),
            "relay": place.start("relay", [*self.program(), "relay"]),
        }
