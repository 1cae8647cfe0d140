"""Verification beside real relays and workers, on both brokers: no false finding, and what was lost comes back."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from fundlyhub.demo.clock import claims
from fundlyhub.demo.run import PROCESSORS
from fundlyhub.settings import get_settings
from tests.support.platform import Platform, wait_until
from tests.support.traffic import published

ALL = "writes,projections,notifications,broadcasts"


@pytest.fixture
def ready(platform: Platform) -> Platform:
    """A platform with a grace as in production, whose sweep does not come before the test is over."""
    platform.environment |= {
        "FUNDLYHUB_PROCESSORS": "", "FUNDLYHUB_SWEEP_INTERVAL": "600", "FUNDLYHUB_SWEEP_GRACE": "120",
    }  # fmt: skip
    return platform


def verify(platform: Platform, *options: str) -> tuple[int, dict[str, Any]]:
    """The exit status and the document of a verification."""
    done = platform.run("verify", "--json", *options)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_nothing_is_found_while_workers_are_at_work_and_nothing_afterwards(ready: Platform) -> None:
    ready.relay()
    ready.worker(ALL)
    ready.worker(ALL)
    enough = threading.Event()
    traffic = threading.Thread(target=publish_until, args=(enough,))
    traffic.start()
    try:
        wait_until(lambda: ready.applied("campaign_stats") > 20, what="some traffic")
        first = last = replayed(ready)
        while last == first:
            last = replayed(ready)
    finally:
        enough.set()
        traffic.join()
    wait_until(lambda: replayed(ready) == replayed(ready), timeout=180, what="the workers to come to an end")
    status, document = verify(ready, "--wait", "50", "--processor", "campaign_stats", "--processor", "activity_feed")
    assert (status, document["findings"], document["in_flight"]) == (0, [], {})


def publish_until(enough: threading.Event) -> None:
    """A little traffic every second, for as long as somebody wants to meet it: no more than the workers get done."""
    while not enough.wait(1):
        published(30)


def replayed(platform: Platform) -> int:
    """The claims that a verification has met, which finds nothing."""
    status, document = verify(platform)
    assert (status, document["findings"]) == (0, [])
    return int(document["checked"]["claims replayed"])


@pytest.mark.timeout(900)
@pytest.mark.chaos  # for its length
def test_a_purge_is_named_and_repaired(ready: Platform) -> None:
    ready.relay()
    _, tally = published(600)
    wait_until(lambda: ready.relayed() >= len(tally.positions), what="the relay")
    names = [option for name in PROCESSORS for option in ("--processor", name)]
    assert verify(ready, *names, "--grace", "0")[1]["counts"] == {}, "what waits in a queue is not missing"
    ready.purge()
    status, document = verify(ready, *names)
    assert (status, sum(document["in_flight"].values())) == (0, tally.effects), "what is young is not missing"
    status, document = verify(ready, *names, "--grace", "0")
    assert (status, document["counts"]) == (1, {"missing": tally.effects})
    assert document["not_listed"] == tally.effects - len(document["findings"])
    status, document = verify(ready, *names, "--grace", "0", "--repair")
    assert (status, document["repaired"]) == (1, tally.effects), "sent again is not yet there"
    ready.purge()
    ready.worker("writes,projections")
    status, document = verify(ready, *names, "--grace", "0", "--repair", "--wait", "50")
    assert (status, document["findings"], document["repaired"]) == (0, [], tally.effects)
    assert claims(get_settings(), list(PROCESSORS), tally.wanted) == tally.effects


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_positions_that_were_given_out_again_are_repaired_too(ready: Platform) -> None:
    """The log lost its tail, and other events took its place: their claims are those of the events that are gone."""
    ready.relay()
    ready.worker("writes,projections")
    _, tally = published(200)
    wait_until(lambda: claims(get_settings(), list(PROCESSORS), tally.wanted) == tally.effects, what="all effects")
    ready.execute("UPDATE analytics.processed_events SET event_id = gen_random_uuid()"
                  " WHERE processor = 'search_index' AND position > %s", tally.wanted[-1] - 100)  # fmt: skip
    status, document = verify(ready, "--processor", "search_index", "--no-tables")
    misclaimed = document["counts"].pop("different")
    assert (status, document["counts"]) == (1, {})
    options = ("--processor", "search_index", "--repair")
    status, document = verify(ready, *options)
    assert (status, document["repaired"]) == (1, misclaimed)
    wait_until(lambda: verify(ready, "--processor", "search_index")[0] == 0, what="the repair")
