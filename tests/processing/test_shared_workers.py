"""Shared messages in real workers on both brokers: kills and faults of one processor cost its neighbours nothing."""

from __future__ import annotations

import pytest

from fundlyhub import publish_events
from tests.support.make import initiated, search
from tests.support.platform import Platform, wait_until
from tests.support.processors import TABLES

BOTH = "tests.support.twins"
"""The value of FUNDLYHUB_PROCESSORS that loads either of them."""
EFFECTS = """
    SELECT count(*) || ' of ' || count(DISTINCT (processor, position)) FROM analytics.test_effects
    WHERE processor IN ('test_count', 'test_twin')
"""
SHARED = """
    SELECT count(*) FROM (
        SELECT FROM analytics.processed_events GROUP BY xmin::text HAVING count(DISTINCT processor) > 1
    ) AS together
"""
LETTERS = "SELECT string_agg(processor || ' ' || error_class, ', ' ORDER BY processor) FROM events.dead_letters"


@pytest.fixture
def both(platform: Platform) -> Platform:
    """A platform with the tables of the two."""
    platform.execute(TABLES)
    return platform


def once_in_each(platform: Platform, events: int) -> None:
    """Each event has one claim and one effect in either of them."""
    for name in ("test_count", "test_twin"):
        platform.wait_applied(name, events)
    assert platform.value(EFFECTS) == f"{2 * events} of {2 * events}"


def test_a_fault_of_one_is_its_own_letter_and_the_others_share_a_transaction(both: Platform) -> None:
    both.relay(FUNDLYHUB_PROCESSORS=BOTH)
    both.worker(FUNDLYHUB_PROCESSORS=BOTH)
    publish_events(search("fine") for _ in range(20))
    once_in_each(both, 20)
    assert both.value(SHARED) > 0
    publish_events([search("refuse the twin"), search("fine")])
    both.wait_applied("test_count", 22)
    both.wait_applied("test_twin", 21)
    wait_until(lambda: both.value(LETTERS), what="the letter")
    assert both.value(LETTERS) == "test_twin Permanent"


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_kills_in_shared_transactions_lose_and_double_nothing(both: Platform) -> None:
    publish_events(initiated() for _ in range(3_000))
    both.relay(FUNDLYHUB_PROCESSORS=BOTH)
    for share in (200, 700, 1_200, 1_700, 2_200):
        worker = both.worker(FUNDLYHUB_PROCESSORS=BOTH)
        both.wait_applied("test_twin", share)
        worker.kill()
    assert both.applied("test_twin") < 3_000
    both.worker(FUNDLYHUB_PROCESSORS=BOTH)
    once_in_each(both, 3_000)
    assert both.value("SELECT count(*) FROM events.dead_letters") == 0


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_an_event_that_kills_one_of_them_is_dead_there_alone(both: Platform) -> None:
    words = ["fine"] * 60
    words.insert(20, "kill the twin")
    publish_events(search(word) for word in words)
    both.relay(FUNDLYHUB_PROCESSORS=BOTH)
    both.worker(FUNDLYHUB_PROCESSORS=BOTH)
    both.wait_applied("test_count", 61)
    both.wait_applied("test_twin", 60)
    wait_until(lambda: both.value(LETTERS), timeout=180, what="the letter")
    assert both.value(LETTERS) == "test_twin WorkerLost"


@pytest.mark.chaos
def test_a_worker_that_knows_only_one_of_them_leaves_the_other_to_the_next(both: Platform) -> None:
    both.relay(FUNDLYHUB_PROCESSORS=BOTH)
    older = both.worker()
    publish_events(search("fine") for _ in range(10))
    both.wait_applied("test_count", 10)
    assert both.applied("test_twin") == 0
    older.kill()
    both.worker(FUNDLYHUB_PROCESSORS=BOTH)
    once_in_each(both, 10)
