"""The circuit breaker in bursts of calls: what it asks of Redis, and what it sees nevertheless."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
import redis

from fundlyhub.channels.breaker import Breaker, SharedStorage
from fundlyhub.channels.breaker.burst_storage import BurstStorage
from fundlyhub.channels.breaker.rules import Rules
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.errors import Snooze, Transient
from tests.channels.breakers import FAILURES, Clock, failed, fails, lets_in
from tests.support.platform import wait_until


@pytest.fixture
def name() -> str:
    """A service of this test alone."""
    return f"test-{uuid4()}"


def in_bursts(name: str, server: Valkey, fresh: float = 600.0, **rules: Any) -> Breaker:
    return Breaker(name, BurstStorage(SharedStorage(name, server.url), fresh=fresh), Rules(**rules), clock=Clock())


def exact(name: str, server: Valkey) -> Breaker:
    """The breaker of another worker, and what operators see."""
    return Breaker(name, SharedStorage(name, server.url), clock=Clock())


def test_a_burst_costs_a_handful_of_commands_and_is_counted_whole(name: str, valkey: Valkey) -> None:
    breaker = in_bursts(name, valkey)
    breaker.call(lambda: 7)
    with redis.Redis.from_url(valkey.url) as client:
        before = client.info("stats")["total_commands_processed"]
        assert [breaker.call(lambda: 7) for _ in range(100)] == [7] * 100
        breaker.flush()
        assert client.info("stats")["total_commands_processed"] - before < 10
    assert exact(name, valkey).look()[1].calls == 101


def test_each_call_is_counted_at_once_where_they_are_far_apart(name: str, valkey: Valkey) -> None:
    breaker = in_bursts(name, valkey, fresh=0.0)
    for calls in (1, 2, 3):
        breaker.call(lambda: 7)
        assert exact(name, valkey).look()[1].calls == calls


def test_it_obeys_another_worker_once_what_it_knows_is_old(name: str, valkey: Valkey) -> None:
    breaker = in_bursts(name, valkey, fresh=0.2)
    assert lets_in(breaker)
    failed(exact(name, valkey), times=FAILURES)
    wait_until(lambda: not lets_in(breaker), timeout=10, what="the state that the other one has written")


def test_what_it_opens_itself_it_obeys_at_once(name: str, valkey: Valkey) -> None:
    breaker = in_bursts(name, valkey)
    assert lets_in(breaker)
    failed(breaker, times=FAILURES)
    assert not lets_in(breaker)


def test_a_failure_makes_it_look(name: str, valkey: Valkey) -> None:
    breaker = in_bursts(name, valkey)
    assert lets_in(breaker)
    exact(name, valkey).open_by_hand("a test", "me")
    assert lets_in(breaker)
    with pytest.raises(Snooze):  # it is open: this message is not to blame
        breaker.call(fails(Transient("down")))


def test_a_success_that_is_not_counted_yet_ends_the_failures_in_a_row(name: str, valkey: Valkey) -> None:
    breaker = in_bursts(name, valkey)
    failed(breaker, times=FAILURES - 1)
    assert lets_in(breaker)
    failed(breaker, times=FAILURES - 1)
    assert lets_in(breaker)


def test_successes_that_are_not_counted_yet_are_part_of_the_rate(name: str, valkey: Valkey) -> None:
    breaker = in_bursts(name, valkey, failures=1_000, minimum=20)
    assert all(lets_in(breaker) for _ in range(30))
    failed(breaker, times=29)
    assert breaker.state == "closed"
    failed(breaker)
    assert breaker.state == "open"
