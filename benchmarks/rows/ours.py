"""Ours: `fundlyhub relay` and `celery -A fundlyhub worker`, as an operator starts them."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import ClassVar

import fundlyhub.processors  # noqa: F401  # registers them
from benchmarks.log import fill_log
from benchmarks.rows.row import Broker, Kind, Row
from benchmarks.stage import PYTHON, Place, Stage
from fundlyhub import DonationCompleted
from fundlyhub.processing import registry
from fundlyhub.processing.routing import Router
from tests.support.platform import Process, wait_until

CHILDREN = 2
"""Of the worker: as many as there are cores."""


class Ours(Row):
    """Campaign statistics on Valkey, with claims, facts of donations, and donors."""

    key = "ours"
    title = "FundlyHub on Valkey"
    kind: ClassVar[Kind] = "ours"
    broker: ClassVar[Broker | None] = "valkey"
    processors: tuple[str, ...] = ("campaign_stats",)
    queues: ClassVar[str] = "projections"

    done = "SELECT coalesce(sum(donation_count), 0)::bigint FROM analytics.campaign_stats_projection"
    applied = """
        SELECT event_id, max(pg_xact_commit_timestamp(xmin)) FROM (
            SELECT event_id, xmin FROM analytics.processed_events UNION ALL
            SELECT event_id, xmin FROM app.processed_events) claims
        GROUP BY event_id
    """
    committed = "SELECT id, pg_xact_commit_timestamp(xid::xid) FROM events.events"
    totals = """
        SELECT campaign_id, total_raised, donation_count, unique_donors, largest_donation, average_donation
        FROM analytics.campaign_stats_projection
    """

    def __init__(self, processors: tuple[str, ...] | None = None) -> None:
        if processors is not None:
            self.processors = processors

    def backlog(self, stage: Stage, file: Path, count: int) -> str:
        """A filled log."""
        return stage.template(f"log_{count}", lambda dsn: fill_log(dsn, file))

    def fill(self, place: Place, file: Path) -> None:
        """Nothing: the log is all there is."""

    def start(self, place: Place) -> dict[str, Process]:
        """The worker, and when it is ready the relay."""
        worker = self.start_worker(place)
        return {"worker": worker, "relay": self.start_relay(place)}

    @cached_property
    def effects(self) -> int:  # type: ignore[override]
        """How many of its processors want a completed donation."""
        ours = {name: one for name, one in registry.processors().items() if name in self.processors}
        return len(Router(ours).wanting(DonationCompleted.event_type))

    def start_worker(self, place: Place, children: int = CHILDREN, queues: str | None = None) -> Process:
        """A worker that is ready, by default for the row's queues."""
        queues = queues or self.queues
        ready = place.folder / f"ready-{queues}"
        argv = [PYTHON, "-m", "celery", "-A", "fundlyhub", "worker", "-Q", queues, "-c", str(children)]
        argv += ["-n", f"bench-{queues}@%h", "--without-gossip", "--without-mingle", "-l", "WARNING"]
        worker = place.start("worker", argv, BENCH_READY=str(ready), **self.variables())

        def is_ready() -> bool:
            place.check_alive()
            return ready.exists()

        wait_until(is_ready, what="the worker")
        return worker

    def start_relay(self, place: Place) -> Process:
        """A relay, on its way."""
        return place.start("relay", [PYTHON, "-m", "fundlyhub", "relay"], **self.variables())

    def variables(self) -> dict[str, str]:
        """The processors that this row is about."""
        return {"FUNDLYHUB_PROCESSORS": "benchmarks.chosen_processors", "BENCH_ONLY": " ".join(self.processors)}

    def publisher(self, place: Place, file: Path, rate: float, seconds: float) -> list[str]:
        """`publish_event` beside a business row."""
        return [PYTHON, "-m", "benchmarks.publisher", str(file), str(rate), str(seconds)]


class OursOnRabbitMQ(Ours):
    """The same, through quorum queues with confirms."""

    key = "ours-rabbitmq"
    title = "FundlyHub on RabbitMQ"
    broker = "rabbitmq"


class OursWithAll(Ours):
    """All processors that write: the statistics, the feed, the search index and the donors."""

    key = "ours-all"
    title = "FundlyHub on Valkey, all write and projection processors"
    processors = (
        "activity_feed", "campaign_stats", "recipient_write", "reference_write", "search_index", "subscription_write",
    )  # fmt: skip
    queues = "writes,projections"
    scale = 0.5
    done = """
        SELECT (SELECT count(*) FROM analytics.processed_events) + (SELECT count(*) FROM app.processed_events)
    """
