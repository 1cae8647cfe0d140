"""Servers that hang: stopped in their tracks, their connections stay open, and nobody answers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

import pytest

from fundlyhub import publish_events
from fundlyhub.embedded.postgres import Postgres
from fundlyhub.embedded.server import Server
from fundlyhub.embedded.valkey import Valkey
from tests.support.make import initiated
from tests.support.platform import Platform, wait_until
from tests.support.processors import TABLES
from tests.support.proxy.amqp import AmqpWire
from tests.support.proxy.proxy import Proxy
from tests.support.proxy.resp import RespWire
from tests.support.reliability import Record
from tests.support.urls import port_of

pytestmark = [pytest.mark.timeout(400), pytest.mark.rabbitmq]

HANG = 40.0
"""Seconds: longer than any limit of a wait for a server."""
LIMIT = 30.0
"""Seconds in which all goes on, once the server is back or another relay leads."""
APPLIED = "SELECT count(DISTINCT position) FROM analytics.test_effects WHERE processor = 'test_count'"
TWICE = "SELECT count(*) - count(DISTINCT position) FROM analytics.test_effects WHERE processor = 'test_count'"
CHARGED = "SELECT (SELECT count(*) FROM events.dead_letters) + (SELECT coalesce(sum(attempts), 0) FROM events.attempts)"


@pytest.fixture
def running(platform: Platform) -> Platform:
    """A leading relay and a standby, a worker, and events that it has applied."""
    platform.execute(TABLES)
    platform.relay()
    platform.relay()
    platform.worker("projections")
    publish_events([initiated() for _ in range(50)])
    wait_until(lambda: platform.value(APPLIED) == 50, what="the first events")
    return platform


@contextmanager
def stopped(server: Server) -> Iterator[None]:
    pid = server.child.process.pid
    os.killpg(pid, signal.SIGSTOP)  # with all its children
    try:
        yield
    finally:
        os.killpg(pid, signal.SIGCONT)


SERVERS: Mapping[str, Callable[[Platform, Postgres, Valkey], AbstractContextManager[None]]] = {
    "broker": lambda platform, postgres, valkey: platform.broker_held(),
    "PostgreSQL": lambda platform, postgres, valkey: stopped(postgres),
    "Valkey": lambda platform, postgres, valkey: stopped(valkey),
}


@pytest.mark.parametrize("name", SERVERS)
def test_all_goes_on_soon_after_a_server_that_hung_is_back(
    running: Platform, postgres: Postgres, valkey: Valkey, name: str, measured: list[Record]
) -> None:
    publish_events([initiated() for _ in range(500)])
    with SERVERS[name](running, postgres, valkey):
        time.sleep(HANG)  # this long it lasts
    ended = time.monotonic()
    publish_events([initiated() for _ in range(50)])
    wait_until(lambda: running.value(APPLIED) == 600, timeout=2 * LIMIT, what="all events")
    delayed = time.monotonic() - ended
    repeated = int(str(running.value(TWICE)))
    where = type(running.broker).__name__
    measured.append(Record(f"{name}: SIGSTOP for {HANG:.0f} s", where, 1, 600, repeated=repeated, delayed=delayed))
    assert delayed < LIMIT
    assert repeated == 0
    assert running.value(CHARGED) == 0


def test_a_leader_whose_broker_hangs_lets_another_relay_lead(platform: Platform, measured: list[Record]) -> None:
    """As on a cluster, whose other nodes answer the other relay."""
    platform.execute(TABLES)
    url = platform.environment["FUNDLYHUB_BROKER_URL"]
    with Proxy(port_of(url), RespWire if url.startswith("redis") else AmqpWire) as proxy:
        first = platform.relay(FUNDLYHUB_BROKER_URL=url.replace(str(port_of(url)), str(proxy.port)))
        wait_until(lambda: first.said("leading, in epoch 1"), what="the first leader")
        second = platform.relay()
        platform.worker("projections")
        publish_events([initiated() for _ in range(50)])
        wait_until(lambda: platform.value(APPLIED) == 50, what="the first events")
        proxy.stall()
        began = time.monotonic()
        publish_events([initiated() for _ in range(50)])
        wait_until(lambda: platform.value(APPLIED) == 100, timeout=3 * LIMIT, what="all events")
        delayed = time.monotonic() - began
        assert second.said("leading, in epoch 2")
        assert first.said("the broker does not answer")
    measured.append(
        Record("broker: hangs for the leading relay alone", type(platform.broker).__name__, 1, 100, delayed=delayed)
    )
    assert delayed < LIMIT + 5
