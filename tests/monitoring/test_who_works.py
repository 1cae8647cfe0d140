"""Nobody works: no worker consumes a queue, an event waits too long, a processor is paused; all pages say so."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fundlyhub import publish_events
from tests.monitoring.pages import parsed
from tests.support.make import search
from tests.support.platform import Platform, wait_until
from tests.support.processors import TABLES

ALL = "writes,projections,notifications,broadcasts,rebuilds"
OLD = "UPDATE events.events SET recorded_at = recorded_at - interval '1 hour'"
PAUSE = """
    INSERT INTO events.processor_pauses (processor, kind, who, reason, probe_at)
    VALUES ('test_count', %s, 'worker', 'KeyError: text withheld', now() + interval '1 hour')
"""


def status(platform: Platform) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(platform.run("status", "--json").stdout)
    return document


def consumers(platform: Platform) -> dict[str, int]:
    return {queue: one["consumers"] for queue, one in status(platform)["queues"].items()}


def health(platform: Platform, *args: str) -> dict[str, str]:
    """What is bad, and why."""
    done = platform.run("health", "--json", *args)
    document = json.loads(done.stdout)
    assert document["ok"] == (done.returncode == 0)
    return {one["check"]: one["said"] for one in document["checks"] if not one["ok"]}


@pytest.fixture
def relayed(platform: Platform) -> Platform:
    """An event that a relay has handed over, and nobody to take it."""
    platform.execute(TABLES)
    platform.relay()
    publish_events([search("fine")])
    wait_until(lambda: platform.relayed() == 1, what="the relay")
    return platform


def test_with_a_relay_alone_nothing_is_well(relayed: Platform) -> None:
    bad = health(relayed)
    assert set(bad) == {"workers"}
    assert bad["workers"].startswith("no worker consumes ")
    assert "celery -A fundlyhub worker -Q " in bad["workers"]
    relayed.execute(OLD)
    bad = health(relayed)
    assert set(bad) == {"workers", "processors keep up"}
    assert bad["processors keep up"].startswith("1 events wait for test_count, the oldest for 36")
    assert set(health(relayed, "--max-wait", "4000")) == {"workers"}
    for role in ("relay", "worker", "ingest", "api"):
        assert health(relayed, "--role", role) == {}, "nothing of it is this process's fault"

    found = status(relayed)
    assert all(one == {"messages": one["messages"], "consumers": 0} for one in found["queues"].values())
    one = found["processors"]["test_count"]
    assert (one["waiting"], one["paused"], one["oldest_retrying_seconds"]) == (1, None, None)
    assert 3_600 <= one["oldest_waiting_seconds"] < 3_700
    assert found["processors"]["campaign_stats"]["oldest_waiting_seconds"] is None
    printed = relayed.run("status").stdout
    assert "No worker consumes " in printed
    assert "60 m" in printed


@pytest.mark.chaos  # for its length
def test_a_worker_is_seen_when_it_comes_and_missed_when_it_is_killed(relayed: Platform) -> None:
    one = relayed.worker(ALL, concurrency=1)
    wait_until(lambda: set(consumers(relayed).values()) == {1}, what="the worker to be seen")
    assert health(relayed) == {}
    other = relayed.worker("projections", concurrency=1)
    wait_until(lambda: consumers(relayed)["projections"] == 2, what="the other worker")
    assert consumers(relayed)["writes"] == 1
    other.terminate()
    wait_until(lambda: consumers(relayed)["projections"] == 1, timeout=40, what="its end to be seen")
    one.kill()
    wait_until(lambda: set(consumers(relayed).values()) == {0}, timeout=40, what="the killed worker to be missed")
    assert set(health(relayed)) == {"workers"}
    found = parsed(relayed.run("metrics", "--once").stdout)
    assert found["fundlyhub_queue_consumers", "projections"] == 0


@pytest.mark.chaos  # for its length
def test_a_worker_whose_broker_was_emptied_is_seen_again(relayed: Platform) -> None:
    relayed.worker("projections", concurrency=1)
    wait_until(lambda: consumers(relayed)["projections"] == 1, what="the worker")
    relayed.purge()
    wait_until(lambda: consumers(relayed)["projections"] == 1, timeout=20, what="the worker again")


@pytest.mark.chaos  # for its length
def test_a_status_without_a_broker_still_tells_of_the_log(relayed: Platform) -> None:
    url = relayed.environment["FUNDLYHUB_BROKER_URL"]
    relayed.environment["FUNDLYHUB_BROKER_URL"] = f"{url.partition(':')[0]}://127.0.0.1:1/"
    found = status(relayed)
    assert found["queues"] is None
    assert found["processors"]["test_count"]["waiting"] == 1
    assert "Queues: cannot reach the broker" in relayed.run("status").stdout


@pytest.mark.parametrize("kind", ["burst", "by hand"])
def test_a_pause_is_told_everywhere_and_is_ill_only_where_nobody_wanted_it(relayed: Platform, kind: str) -> None:
    relayed.execute(OLD)
    relayed.execute(PAUSE, kind)
    bad = health(relayed)
    if kind == "burst":
        assert set(bad) == {"workers", "processors run"}
        assert bad["processors run"].startswith("paused itself: test_count (KeyError")
    else:
        assert set(bad) == {"workers"}, "and what waits for it is no fault either"
        assert "paused by hand: test_count" in relayed.run("health").stdout
    pause = status(relayed)["processors"]["test_count"]["paused"]
    assert (pause["kind"], pause["who"], pause["reason"]) == (kind, "worker", "KeyError: text withheld")
    assert f"test_count is paused ({kind}, by worker): KeyError" in relayed.run("status").stdout
    found = parsed(relayed.run("metrics", "--once").stdout)
    assert found["fundlyhub_processor_paused", kind, "test_count"] == 1  # labels come in the order of their names
    assert sum(value for key, value in found.items() if key[0] == "fundlyhub_processor_paused") == 1


def test_what_is_retried_has_an_age(relayed: Platform) -> None:
    relayed.execute(
        "INSERT INTO events.attempts VALUES ('test_count', 1, 3, now() - interval '40 minutes', now(), 'KeyError')"
    )
    one = status(relayed)["processors"]["test_count"]
    assert (one["waiting"], one["retrying"], one["oldest_waiting_seconds"]) == (0, 1, None)
    assert 2_400 <= one["oldest_retrying_seconds"] < 2_500
    found = parsed(relayed.run("metrics", "--once").stdout)
    assert 2_400 <= found["fundlyhub_events_retrying_seconds", "test_count"] < 2_500
