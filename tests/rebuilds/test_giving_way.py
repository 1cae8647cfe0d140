"""What fills a rebuild gives way while live events come, and loses no time while none do."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fundlyhub import publish_event, rebuilds
from fundlyhub.database import get_engine
from fundlyhub.processors.projections.campaign_stats.processor import CampaignStatsProcessor
from fundlyhub.rebuilds.filling import go_on
from fundlyhub.rebuilds.schema import connected
from fundlyhub.rebuilds.traffic import SMALL, Traffic, traffic_of
from fundlyhub.settings import Settings
from tests.rebuilds.test_exchange import STATS
from tests.support.make import search
from tests.support.platform import Platform
from tests.verification.world import OURS, sql

NICENESS = 10
RESTED = "SELECT next_at IS NOT NULL FROM analytics.rebuilds"
PAGES = "SELECT xmin::text, count(*) FROM {schema}.processed_events GROUP BY 1"


@pytest.fixture(autouse=True)
def nothing_seen_yet() -> None:
    """This process may have looked at another test's log."""
    traffic_of.cache_clear()


@contextmanager
def events_coming() -> Iterator[None]:
    """One after the other, from somebody else."""
    first, end = threading.Event(), threading.Event()

    def publish() -> None:
        while not end.is_set():
            publish_event(search("live"))
            first.set()

    thread = threading.Thread(target=publish)
    thread.start()
    first.wait()
    try:
        yield
    finally:
        end.set()
        thread.join()


def pages(schema: str) -> list[int]:
    return [count for _, count in sql(PAGES.format(schema=schema))]


def test_without_live_events_it_rests_never(at_rest: Settings) -> None:
    rebuilds.start(at_rest, OURS, STATS, who="ann")
    go_on(at_rest, CampaignStatsProcessor, seconds=60)
    assert rebuilds.status(at_rest, OURS, STATS).phase == "following"
    assert sql(RESTED) == [(False,)]


def test_while_live_events_come_it_takes_small_pages_and_rests_after_each(at_rest: Settings) -> None:
    schema = rebuilds.start(at_rest, OURS, STATS, who="ann").schema
    with events_coming():
        go_on(at_rest, CampaignStatsProcessor, seconds=60)
    assert rebuilds.status(at_rest, OURS, STATS).phase == "following"
    assert sql(RESTED) == [(True,)]
    assert max(pages(schema)) <= SMALL
    rebuilds.swap(at_rest, OURS, STATS, who="ann")


def test_new_events_and_new_claims_are_seen_and_silence_too(at_rest: Settings) -> None:
    with connected(at_rest, "analytics") as (db, log):
        traffic = Traffic(STATS, "analytics")
        assert not traffic.flows(db, log)
        publish_event(search("live"))
        assert traffic.flows(db, log)
        traffic = Traffic(STATS, "analytics")
        assert not traffic.flows(db, log)
        with get_engine("analytics").begin() as other:
            other.exec_driver_sql(
                "INSERT INTO processed_events (processor, position, event_id) "
                "SELECT %s, max(position) + 1, gen_random_uuid() FROM processed_events", (STATS,)
            )  # fmt: skip
        assert traffic.flows(db, log)


@pytest.mark.parametrize("platform", ["valkey"], indirect=True)
def test_only_a_worker_that_rebuilds_alone_stands_back(platform: Platform) -> None:
    for queues, niceness in (("rebuilds", NICENESS), ("projections,rebuilds", 0)):
        worker = platform.worker(queues)
        assert os.getpriority(os.PRIO_PROCESS, worker.popen.pid) == niceness
