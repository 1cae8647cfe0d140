"""The relay ends in time when it is asked to, whatever its broker does; so do commands that only close a connection."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from fundlyhub import publish_events
from tests.support.make import search
from tests.support.platform import Platform, wait_until
from tests.support.rabbitmq import RabbitNode

LIMIT = 28.0
"""Seconds: less than what a process has before it ends by itself, with another status."""

# It asks the database five times a second, unless something holds it up.
SILENT = """
    SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND clock_timestamp() - state_change > interval '2 seconds'
        AND pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted)
"""


@contextmanager
def memory_alarm(platform: Platform) -> Iterator[None]:
    """RabbitMQ reads nothing more from who publishes."""
    assert isinstance(platform.broker, RabbitNode)
    watermark = "vm_memory_monitor:set_vm_memory_high_watermark"
    platform.broker.evaluate(f"{watermark}(0.00001)")
    try:
        yield
    finally:
        platform.broker.evaluate(f'{watermark}({{absolute, "256MB"}})')


@pytest.mark.chaos  # for its length
@pytest.mark.rabbitmq
@pytest.mark.parametrize("platform", ["rabbitmq"], indirect=True)
def test_a_relay_ends_while_rabbitmq_is_in_memory_alarm(platform: Platform) -> None:
    relay = platform.relay()
    publish_events([search("before")])
    wait_until(lambda: platform.relayed() == 1, what="the first event")
    with memory_alarm(platform):
        publish_events(search(str(number)) for number in range(2_000))
        assert isinstance(platform.broker, RabbitNode)
        tell = partial(platform.broker.evaluate, "rabbit_networking:connection_info_all([state])")
        wait_until(lambda: "blocked" in tell(), what="a blocked connection")
        began = time.monotonic()
        assert relay.terminate() == 0
        assert time.monotonic() - began < LIMIT
    platform.relay()
    wait_until(lambda: platform.relayed() == 2_001, what="the events after the alarm")


@pytest.mark.chaos  # for its length
@pytest.mark.rabbitmq
def test_a_relay_ends_while_its_broker_hangs(platform: Platform) -> None:
    relay = platform.relay()
    publish_events([search("before")])
    wait_until(lambda: platform.relayed() == 1, what="the first event")
    with platform.broker_held():
        publish_events(search(str(number)) for number in range(2_000))
        wait_until(lambda: platform.value(SILENT), what="a relay that waits for the broker")
        began = time.monotonic()
        assert relay.terminate() == 0
        assert time.monotonic() - began < LIMIT
    platform.relay()
    wait_until(lambda: platform.relayed() == 2_001, what="the events after it")


@pytest.mark.chaos  # for its length
@pytest.mark.rabbitmq
def test_a_relay_ends_while_it_connects_to_a_broker_that_hangs(platform: Platform) -> None:
    publish_events([search("before")])
    with platform.broker_held():
        relay = platform.relay()
        wait_until(lambda: platform.value(SILENT), what="a relay that connects to the broker")
        began = time.monotonic()
        assert relay.terminate() == 0
        assert time.monotonic() - began < LIMIT / 2
    platform.relay()
    wait_until(lambda: platform.relayed() == 1, what="the event after it")
