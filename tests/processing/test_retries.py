"""Retries that wait in the broker: they outlive its restarts and its death, and those of their workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from fundlyhub import publish_events
from tests.support.failing_processors import FAILURES, TABLE
from tests.support.make import search
from tests.support.platform import Platform, wait_until
from tests.support.processors import TABLES
from tests.support.rabbitmq import RabbitNode

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

EVENTS = 300
FAILED = "SELECT count(*) FROM analytics.test_failures"
EFFECTS = "SELECT count(*) FROM analytics.test_effects WHERE processor = 'test_failing'"


def restart(platform: Platform) -> None:
    """In order."""
    platform.stop_broker()
    platform.start_broker()


def kill(platform: Platform) -> None:
    """SIGKILL, and back with what it had written."""
    if isinstance(platform.broker, RabbitNode):
        platform.broker.settle()  # a queue younger than 5 s would not outlive it: a flaw of 3.10
    platform.broker.kill()
    platform.start_broker()


FAULTS: Mapping[str, Callable[[Platform], None]] = {"restarted": restart, "killed": kill}


def wait_failed(platform: Platform, times: int) -> None:
    """Wait until so many runs have failed."""
    wait_until(lambda: platform.value(FAILED) >= times, what=f"{times} failures")


@pytest.mark.parametrize("fault", FAULTS)
def test_retries_outlive_their_broker_and_their_workers(platform: Platform, fault: str) -> None:
    platform.execute(TABLES)
    platform.execute(TABLE)
    processors = {"FUNDLYHUB_PROCESSORS": "tests.support.processors,tests.support.failing_processors"}
    platform.environment.update(processors)
    # Nothing but the broker brings them back: the sweep looks when all is long over.
    platform.relay(FUNDLYHUB_SWEEP_INTERVAL="5", FUNDLYHUB_SWEEP_GRACE="30")
    worker = platform.worker(kept=True)
    publish_events(search("fine") for _ in range(EVENTS))
    for share in (1, 2):
        wait_failed(platform, share * EVENTS)
        FAULTS[fault](platform)
        worker.kill()
        worker = platform.worker(kept=True)
    platform.wait_applied("test_failing", EVENTS, timeout=180)
    assert platform.value(FAILED) >= FAILURES * EVENTS
    assert platform.value(EFFECTS) == EVENTS
    assert platform.value(EFFECTS.replace("*", "DISTINCT position")) == EVENTS
    assert platform.value("SELECT count(*) FROM events.dead_letters") == 0
    wait_until(lambda: platform.value("SELECT count(*) FROM events.attempts") == 0, what="no event to wait")
