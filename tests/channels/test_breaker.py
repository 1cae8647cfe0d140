"""The circuit breaker: what opens it, what not, who shares it, and what happens without Redis."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pybreaker
import pytest
import redis

from fundlyhub.channels.breaker import FAILURES, Breaker, shared_storage
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.errors import OutcomeUnknown, Permanent, Snooze, Transient
from tests.support.platform import wait_until


def local(**options: float) -> Breaker:
    return Breaker("test", pybreaker.CircuitMemoryStorage(pybreaker.STATE_CLOSED), **options)


def fails(error: Exception) -> Callable[[], None]:
    def call() -> None:
        raise error

    return call


def failed(breaker: Breaker, error: Exception, times: int = FAILURES) -> None:
    """So many calls, each failing with its own error."""
    for _ in range(times):
        with pytest.raises(type(error)):
            breaker.call(fails(error))


@pytest.mark.parametrize("error", [Transient("down"), OutcomeUnknown("cut")])
def test_failures_in_a_row_open_it_and_nothing_is_called_any_more(error: Exception) -> None:
    breaker = local()
    failed(breaker, error)
    assert breaker.state == "open"
    called: list[int] = []
    with pytest.raises(Snooze, match="the breaker of test is open") as caught:
        breaker.call(lambda: called.append(1))
    assert called == []
    assert caught.value.seconds == 30


def test_a_success_begins_the_count_anew() -> None:
    breaker = local()
    failed(breaker, Transient("down"), FAILURES - 1)
    assert breaker.call(lambda: 7) == 7
    failed(breaker, Transient("down"), FAILURES - 1)
    assert breaker.state == "closed"


def test_what_is_refused_for_good_is_no_failure_of_the_service() -> None:
    breaker = local()
    failed(breaker, Permanent("no such address"), 3 * FAILURES)
    assert breaker.state == "closed"


def test_it_closes_again_when_a_call_succeeds_after_the_rest() -> None:
    breaker = local(rest=0.2)
    failed(breaker, Transient("down"))

    def succeeds() -> bool:
        try:
            return breaker.call(lambda: True)
        except Snooze:
            return False

    wait_until(succeeds, timeout=10, what="a call that is let through")
    assert breaker.state == "closed"


def test_two_workers_share_it(valkey: Valkey) -> None:
    name = f"test-{uuid4()}"
    one, other = (Breaker(name, shared_storage(name, valkey.url)) for _ in range(2))
    failed(one, Transient("down"))
    assert other.state == "open"
    with pytest.raises(Snooze):
        other.call(lambda: None)


def test_without_redis_it_is_this_processs_own_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    breaker = Breaker("test", shared_storage("test", "redis://127.0.0.1:1/0"))
    assert "this process's own" in caplog.text
    failed(breaker, Transient("down"))
    assert breaker.state == "open"


@pytest.fixture
def private(server_root: Path) -> Iterator[Valkey]:
    """A Valkey that a test may kill or fill."""
    server = Valkey(server_root / f"valkey-{uuid4().hex[:8]}")
    server.start()
    yield server
    server.stop()


def test_redis_that_goes_away_costs_no_call_and_one_warning(private: Valkey, caplog: pytest.LogCaptureFixture) -> None:
    breaker = Breaker("test", shared_storage("test", private.url))
    failed(breaker, Transient("down"), FAILURES - 1)
    private.kill()
    assert breaker.call(lambda: 7) == 7
    failed(breaker, Transient("down"))
    assert breaker.state == "open"
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize("opened", [True, False])
def test_redis_that_takes_no_writes_costs_no_call(private: Valkey, opened: bool) -> None:
    breaker = Breaker("test", shared_storage("test", private.url), rest=0)
    if opened:
        failed(breaker, Transient("down"))
    with redis.Redis.from_url(private.url) as client:
        client.config_set("maxmemory", 1)
    assert breaker.call(lambda: 7) == 7


def test_what_another_worker_opens_closes_here_and_there(valkey: Valkey) -> None:
    name = f"test-{uuid4()}"
    one, other = (Breaker(name, shared_storage(name, valkey.url), rest=0) for _ in range(2))
    failed(one, Transient("down"))
    assert other.state == "open"
    assert other.call(lambda: 7) == 7
    assert one.state == other.state == "closed"


def test_threads_call_side_by_side() -> None:
    breaker, together = local(), threading.Barrier(2, timeout=20)
    threads = [threading.Thread(target=breaker.call, args=(together.wait,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not together.broken
