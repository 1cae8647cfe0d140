"""All processors together under SIGKILL: what they keep is what the business tables say, on both brokers."""

from __future__ import annotations

import random
import time

import pytest

from fundlyhub.demo.check import compare
from fundlyhub.demo.clock import claims
from fundlyhub.demo.publisher import Tally
from fundlyhub.demo.run import PROCESSORS
from fundlyhub.settings import get_settings
from tests.support.platform import Platform, wait_count
from tests.support.traffic import published

QUEUES = "writes,projections"
KILLS, EVENTS = 20, 40_000


def made(tally: Tally) -> int:
    """Effects by now."""
    return claims(get_settings(), list(PROCESSORS), tally.wanted)


def wait_made(tally: Tally, effects: int) -> None:
    """Wait for so many effects."""
    wait_count(lambda: made(tally), effects, timeout=120, what="effects")


@pytest.mark.chaos
@pytest.mark.timeout(1_900)
def test_everything_is_right_after_twenty_kills_in_mid_run(platform: Platform) -> None:
    """Kill whole workers while they are at work on every queue; then check all that every processor keeps."""
    run, tally = published(EVENTS)
    platform.relay(FUNDLYHUB_PROCESSORS="")
    rng = random.Random(KILLS)
    for kill in range(KILLS):
        worker = platform.worker(QUEUES, FUNDLYHUB_PROCESSORS="")
        # A little only: until it is killed a worker goes on with thousands more.
        wait_made(tally, made(tally) + rng.randrange(1, 500))
        time.sleep(rng.uniform(0, 0.05))  # not a wait for anything: it moves the kill within a batch
        worker.kill()
        assert made(tally) < tally.effects, f"kill {kill} came too late to hit anything"
    platform.worker(QUEUES, FUNDLYHUB_PROCESSORS="")
    wait_made(tally, tally.effects)
    checked = compare(get_settings(), run)
    assert checked.mismatches == []
    assert min(checked.checked.values()) > 20
    assert made(tally) == tally.effects
    assert platform.value("SELECT count(*) FROM events.dead_letters") == 0
