"""Rebuilds by real relays and workers, on both brokers: kills, commits while tables are exchanged, and other faults."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.platform import Platform, wait_until
from tests.support.traffic import published

STATS = "campaign_stats"
SCHEMAS = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'rebuild%%'"
CLAIMS = "SELECT count(*) FROM analytics.processed_events WHERE processor = 'campaign_stats'"


@pytest.fixture
def ready(platform: Platform) -> Platform:
    """A platform with our own processors, whose sweep does not hide what a rebuild forgets."""
    platform.environment |= {
        "FUNDLYHUB_PROCESSORS": "", "FUNDLYHUB_SWEEP_INTERVAL": "600", "FUNDLYHUB_SWEEP_GRACE": "120",
    }  # fmt: skip
    return platform


def ran(platform: Platform, *args: str) -> Any:
    """The document of a command that works."""
    done = platform.run(*args, "--json")
    assert done.returncode == 0, (args, done.stdout, done.stderr)
    return json.loads(done.stdout)


def rebuild(platform: Platform, verb: str, *options: str) -> Any:
    """A verb of the rebuild of the campaign statistics."""
    return ran(platform, "rebuild", verb, STATS, *options)


def wrong(platform: Platform) -> Any:
    """What a verification finds of the campaign statistics, when all that is on its way is there."""
    done = platform.run("verify", "--json", "--processor", STATS, "--wait", "50")
    return json.loads(done.stdout)["findings"]


@contextmanager
def traffic() -> Iterator[None]:
    """Donations and more, for as long as the block runs."""
    enough = threading.Event()

    def publish() -> None:
        while not enough.wait(0.05):
            published(40)

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()


def settled(platform: Platform, number: int) -> None:
    """The workers have claimed so many events."""
    platform.wait_applied(STATS, number)


@pytest.mark.chaos  # for its length
@pytest.mark.timeout(900)
def test_a_damaged_table_is_rebuilt_by_workers_swapped_and_put_back(ready: Platform) -> None:
    ready.relay()
    ready.worker("projections,rebuilds")
    _, tally = published(600)
    wait_until(lambda: ready.relayed() >= len(tally.positions), what="the relay")
    wait_until(lambda: wrong(ready) == [], what="all effects")
    ready.execute("UPDATE analytics.campaign_stats_projection SET donation_count = donation_count + 1")
    damaged = ready.value("SELECT count(*) FROM analytics.campaign_stats_projection")
    rebuild(ready, "start")
    assert rebuild(ready, "status", "--wait", "50")["phase"] == "following"
    changed = {one["table"]: one["changed"] for one in rebuild(ready, "diff", "--examples", "1")}
    assert changed["campaign_stats_projection"] == damaged
    assert ready.run("rebuild", "swap", STATS).returncode == 0
    assert wrong(ready) == []
    (line,) = ran(ready, "rebuild", "list")
    assert (line["processor"], line["state"]) == (STATS, "swapped")
    rebuild(ready, "undo")
    assert len([one for one in wrong(ready) if one["kind"] == "different"]) >= damaged
    rebuild(ready, "prune")
    assert ready.value(SCHEMAS) == 0


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_killed_workers_and_relays_go_on_and_publishing_goes_on_while_tables_are_exchanged(ready: Platform) -> None:
    relay = ready.relay()
    ready.worker("projections")
    published(6_000)
    wait_until(lambda: ready.value(CLAIMS) >= 1_500, what="some claims")
    with traffic():
        rebuild(ready, "start", "--rate", "1000")
        for _ in range(3):
            worker, before = ready.worker("rebuilds"), rebuild(ready, "status")["claims"]
            wait_until(lambda least=before: rebuild(ready, "status")["claims"] > least, what="progress")  # type: ignore[misc]
            worker.kill()
            relay.kill()
            relay = ready.relay()
        ready.worker("rebuilds")
        wait_until(lambda: rebuild(ready, "status")["phase"] == "following", timeout=120, what="the first pass")
        done = rebuild(ready, "swap")
        assert done["locked_ms"] < 1_000
        back = rebuild(ready, "undo")
        assert back["replayed"] + back["under_lock"] >= 0
    assert wrong(ready) == []
    assert ready.value("SELECT count(*) FROM events.dead_letters") == 0
    assert ready.value("SELECT count(*) FROM events.attempts WHERE processor = 'campaign_stats'") == 0
    rebuild(ready, "prune")
    assert ready.value(SCHEMAS) == 0


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_a_rebuild_keeps_up_with_the_log_until_it_is_cancelled(ready: Platform) -> None:
    ready.relay()
    ready.worker("projections,rebuilds")
    rebuild(ready, "start")
    _, tally = published(400)
    wait_until(lambda: ready.relayed() >= len(tally.positions), what="the relay")
    wait_until(lambda: wrong(ready) == [], what="all effects")
    wait_until(lambda: rebuild(ready, "status")["behind"] == 0, what="the rebuild")
    assert rebuild(ready, "status")["claims"] == ready.value(CLAIMS) > 0
    assert all(one["added"] + one["gone"] + one["changed"] == 0 for one in rebuild(ready, "diff"))
    rebuild(ready, "cancel")
    assert ready.value(SCHEMAS) == 0
    assert rebuild(ready, "status")["phase"] == "dropped"
