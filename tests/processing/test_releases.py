"""Old and new code side by side, as in every deploy: a newer event, a new processor, a removed one; nothing is lost."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import uuid4

import pytest
from kombu import Connection

from fundlyhub import publish_events
from fundlyhub.processing.queues import DEAD_QUEUE, depths
from tests.support.make import initiated, search
from tests.support.platform import Platform, Process, wait_until
from tests.support.processors import TABLES
from tests.support.releases import NEWER_PROCESSORS, newer_release

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

NEWER_EVENT = """
    INSERT INTO events.events (id, type, version, payload, occurred_at)
    VALUES (%s, 'search.query.submitted', '3.0.0', '{"query": "fine", "place": "menu"}', now())
"""
NEWER_TYPE = """
    INSERT INTO events.events (id, type, version, payload, occurred_at)
    VALUES (%s, 'search.query.forgotten', '1.0.0', '{"query": "fine"}', now())
"""
TIME_PASSES = "UPDATE events.attempts SET next_at = now() - interval '1 minute'"
WAITING = "SELECT count(*) FROM events.attempts WHERE processor = %s"
EFFECTS = "SELECT count(*) FROM analytics.test_effects WHERE processor = %s"


@pytest.fixture
def ready(platform: Platform) -> Platform:
    """A platform with the tables of the test's processors."""
    platform.execute(TABLES)
    return platform


def exactly_once(platform: Platform, processor: str, events: int) -> None:
    """Each event has one claim and one effect, and nothing was given up."""
    platform.wait_applied(processor, events)
    assert platform.applied(processor) == platform.value(EFFECTS, processor) == events
    assert platform.value("SELECT count(*) FROM events.dead_letters") == 0


def stop(*processes: Process) -> None:
    """SIGTERM, and wait."""
    for process in processes:
        process.terminate()


def test_an_event_of_a_newer_release_waits_for_a_worker_of_that_release(ready: Platform, tmp_path: Path) -> None:
    relay, old = ready.relay(), ready.worker()
    ready.execute(NEWER_EVENT, uuid4())
    ready.execute(NEWER_TYPE, uuid4())
    publish_events(search("fine") for _ in range(50))
    ready.wait_applied("test_count", 50)
    wait_until(lambda: ready.value(WAITING, "test_count") == 2, what="the newer events to wait")
    newer = newer_release(tmp_path / "newer")
    stop(relay, old)
    ready.relay(**newer)
    ready.worker(**newer)
    ready.execute(TIME_PASSES)
    exactly_once(ready, "test_count", 52)
    assert ready.value("SELECT count(*) FROM events.attempts") == 0


def test_what_an_old_worker_does_not_know_waits_for_a_new_one(ready: Platform) -> None:
    """The relay is deployed first: half of the new processor's messages reach a worker that has never heard of it."""
    ready.relay(**NEWER_PROCESSORS)
    old = ready.worker()
    publish_events(initiated() for _ in range(200))
    wait_until(lambda: old.said("its task is not known"), what="the old worker to refuse")
    ready.wait_applied("test_slow", 200)
    ready.worker(**NEWER_PROCESSORS)
    publish_events(initiated() for _ in range(200))
    stop(old)
    wait_until(lambda: not dead(ready), what="the collector")
    ready.execute(TIME_PASSES)
    exactly_once(ready, "test_newer", 400)
    exactly_once(ready, "test_slow", 400)


def test_a_processor_that_was_removed_does_no_harm_and_comes_back_whole(ready: Platform) -> None:
    relay = ready.relay(**NEWER_PROCESSORS)
    publish_events(initiated() for _ in range(200))
    wait_until(lambda: ready.relayed() >= 200, what="messages for the processor")
    stop(relay)
    relay, worker = ready.relay(), ready.worker()  # without it
    publish_events(initiated() for _ in range(100))
    exactly_once(ready, "test_slow", 300)
    wait_until(lambda: not dead(ready), what="the collector")
    found = json.loads(ready.run("status", "--json").stdout)
    assert "test_newer" not in found["processors"]
    assert [one["name"] for one in found["of_other_releases"]] == ["test_newer"]
    stop(relay, worker)
    ready.relay(**NEWER_PROCESSORS)
    ready.worker(**NEWER_PROCESSORS)
    exactly_once(ready, "test_newer", 300)


def dead(platform: Platform) -> int:
    """Messages in RabbitMQ's dead queue."""
    url = platform.environment["FUNDLYHUB_BROKER_URL"]
    if not url.startswith("amqp"):
        return 0
    with Connection(url) as connection:
        return depths(connection, True, [DEAD_QUEUE])[DEAD_QUEUE]
