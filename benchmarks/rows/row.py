"""What a row is: one way to do the work, with its processes, its backlog, its publisher and its results."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal
from uuid import UUID

from benchmarks.data import Total, differences
from benchmarks.stage import PEERS_PYTHON, Failed, Place, Stage
from tests.support.platform import Process

Broker = Literal["valkey", "rabbitmq"]
Kind = Literal["ours", "peer", "limit"]


class Row(ABC):
    """One way to do the work. ``key`` is its name in results and options."""

    key: ClassVar[str]
    title: ClassVar[str]
    kind: ClassVar[Kind]
    broker: ClassVar[Broker | None] = None
    effects: int = 1
    """Of each event: what ``done`` counts to."""
    scale: ClassVar[float] = 1.0
    """Share of the events that it gets, so that a run takes seconds and not minutes."""

    done: ClassVar[str]
    """SQL: how many effects there are."""
    applied: ClassVar[str]
    """SQL: event id, and when its effect was committed; by the server's clock."""
    committed: ClassVar[str]
    """SQL: event id, and when its publication was committed; by the server's clock."""
    totals: ClassVar[str]
    """SQL: campaign, raised, count, unique donors, largest, average."""

    def missing(self, stage: Stage) -> str | None:
        """Why the row cannot be run here; None when it can."""
        if self.broker == "rabbitmq" and not stage.has_rabbitmq:
            return "RabbitMQ is not installed"
        return None

    @abstractmethod
    def backlog(self, stage: Stage, file: Path, count: int) -> str:
        """The template of a database for a run with a backlog."""

    @abstractmethod
    def fill(self, place: Place, file: Path) -> None:
        """What of the backlog is not in the template."""

    @abstractmethod
    def start(self, place: Place) -> dict[str, Process]:
        """Start the processes, by name; the one that hands out the work last, when the others are ready."""

    @abstractmethod
    def publisher(self, place: Place, file: Path, rate: float, seconds: float) -> list[str]:
        """The command that publishes at a steady rate."""

    def verify(self, place: Place, expected: Mapping[UUID, Total]) -> None:
        """Raise Failed when a total of the run is wrong."""
        wrong = differences(expected, place.db.execute(self.totals).fetchall())
        if wrong:
            raise Failed(f"{self.key}: {len(wrong)} totals are wrong; {wrong[0]}")


class Peer(Row):
    """A program of benchmarks/peers. Its tables are in the schema ``bench``."""

    kind = "peer"
    scale = 0.04
    processes: ClassVar[int] = 2
    """As many as there are cores, like the two children of our worker."""
    done = "SELECT coalesce(sum(donation_count), 0)::bigint FROM bench.campaign_stats"
    applied = "SELECT event_id, pg_xact_commit_timestamp(xmin) FROM bench.processed"
    committed = "SELECT event_id, pg_xact_commit_timestamp(xmin) FROM bench.gifts"
    totals = """
        SELECT campaign_id, total_raised, donation_count, unique_donors, largest_donation, average_donation
        FROM bench.campaign_stats
    """

    @abstractmethod
    def program(self) -> list[str]:
        """The command that takes the verbs."""

    def backlog(self, stage: Stage, file: Path, count: int) -> str:
        """The plain one: its own queue is filled in each run."""
        return "plain"

    def setup(self, place: Place) -> None:
        """Its own tables."""
        place.run([*self.program(), "setup"])

    def fill(self, place: Place, file: Path) -> None:
        """Jobs in its queue."""
        place.run([*self.program(), "fill", str(file)])

    def start(self, place: Place) -> dict[str, Process]:
        """Its workers."""
        return {f"worker {n}": place.start("worker", [*self.program(), "work"]) for n in range(self.processes)}

    def publisher(self, place: Place, file: Path, rate: float, seconds: float) -> list[str]:
        """Its own verb."""
        return [*self.program(), "publish", str(file), str(rate), str(seconds)]


class PythonPeer(Peer):
    """A peer in Python, in the environment of the peers."""

    module: ClassVar[str]

    def missing(self, stage: Stage) -> str | None:
        """Its environment is made by `make peers`."""
        return None if PEERS_PYTHON.exists() else "there is no .venv-bench (make peers)"

    def program(self) -> list[str]:
        """Its module."""
        return [str(PEERS_PYTHON), "-m", self.module]
