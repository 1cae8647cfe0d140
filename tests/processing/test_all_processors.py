"""All processors together under SIGKILL: what they keep is what the business tables say, on both brokers."""

from __future__ import annotations

import random
import time

import pytest

from fundlyhub.demo.check import compare
from fundlyhub.settings import get_settings
from tests.support.platform import Platform
from tests.support.traffic import Traffic

QUEUES = "writes,projections"
KILLS, EVENTS = 20, 20_000
ENOUGH = 20_000
"""Effects that are left at least when a worker starts: until its kill it makes thousands on a fast machine."""


@pytest.mark.chaos
@pytest.mark.timeout(1_900)
def test_everything_is_right_after_twenty_kills_in_mid_run(platform: Platform) -> None:
    """Kill whole workers while they are at work on every queue; then check all that every processor keeps."""
    traffic = Traffic()
    platform.relay(FUNDLYHUB_PROCESSORS="")
    rng = random.Random(KILLS)
    for kill in range(KILLS):
        traffic.keep_coming(ENOUGH, EVENTS)
        worker = platform.worker(QUEUES, FUNDLYHUB_PROCESSORS="")
        # A little only: until it is killed a worker goes on with thousands more.
        traffic.wait_made(traffic.made() + rng.randrange(1, 500))
        time.sleep(rng.uniform(0, 0.05))  # not a wait for anything: it moves the kill within a batch
        worker.kill()
        assert traffic.made() < traffic.effects, f"kill {kill} came too late to hit anything"
    platform.worker(QUEUES, FUNDLYHUB_PROCESSORS="")
    traffic.wait_made(traffic.effects)
    for run, _ in traffic.runs:
        checked = compare(get_settings(), run)
        assert checked.mismatches == []
        assert min(checked.checked.values()) > 20
    assert traffic.made() == traffic.effects
    assert platform.value("SELECT count(*) FROM events.dead_letters") == 0
