"""The circuit breaker over several processes, and what becomes of it when Redis or a worker dies."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis

from fundlyhub.channels.breaker import Breaker, SharedStorage
from fundlyhub.channels.breaker.rules import Rules
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.errors import Snooze
from tests.channels.breakers import Clock, failed
from tests.channels.busy_door import BusyDoor, open_busy_door
from tests.support import ROOT
from tests.support.command import environment
from tests.support.platform import Process, wait_until

FAILURES = Rules().failures
WORKER = str(ROOT / "tests/channels/call_a_door.py")
Start = Callable[..., Process]


@pytest.fixture
def name() -> str:
    """A service of this test alone."""
    return f"test-{uuid4()}"


@pytest.fixture
def door() -> Iterator[BusyDoor]:
    with open_busy_door() as door:
        yield door


@pytest.fixture
def private(server_root: Path) -> Iterator[Valkey]:
    """A Valkey that a test may kill or fill."""
    server = Valkey(server_root / f"valkey-{uuid4().hex[:8]}")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def start(name: str, door: BusyDoor, tmp_path: Path) -> Iterator[Start]:
    """Starts workers that call the door."""
    started: list[Process] = []

    def start(url: str, **rules: Any) -> Process:
        argv = [sys.executable, WORKER, name, url, door.url, json.dumps(rules)]
        process = Process("worker", argv, environment({}), tmp_path)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()


def shared(name: str, server: Valkey, **rules: Any) -> Breaker:
    return Breaker(name, SharedStorage(name, server.url), Rules(**rules))


def says(worker: Process, text: str) -> None:
    """Wait until a worker has said something."""
    wait_until(lambda: worker.said(text), timeout=20, what=text)


class TestThreeWorkers:
    @pytest.mark.chaos  # for its length
    def test_stop_calling_when_it_opens_and_begin_again_when_it_closes(
        self, valkey: Valkey, name: str, door: BusyDoor, start: Start
    ) -> None:
        for _ in range(3):
            says(start(valkey.url, ramp_step=0.1), "called")
        breaker = shared(name, valkey, ramp_step=0.1)
        door.up = False
        wait_until(lambda: breaker.state == "open", timeout=10, what="an open breaker")
        opened = time.monotonic()
        wait_until(lambda: time.monotonic() > opened + 2, what="two seconds")
        assert door.since(opened + 1) == 0
        door.up = True
        breaker.close_by_hand("it is up", "test")
        wait_until(lambda: door.since(opened + 1) > 100, timeout=20, what="many calls")
        assert breaker.state == "closed"

    @pytest.mark.chaos  # for its length
    def test_send_one_probe_at_a_time(self, valkey: Valkey, name: str, door: BusyDoor, start: Start) -> None:
        breaker = shared(name, valkey)
        breaker.open_by_hand("until all are there", "test")
        door.up, door.takes = False, 0.1
        for _ in range(3):
            says(start(valkey.url, rest=0.05, rest_limit=0.05, ramp_steps=0), "Snooze")
        breaker.close_by_hand("all are there", "test")
        wait_until(lambda: "a probe failed: down" in str(breaker.history()), timeout=20, what="a probe")
        probing = time.monotonic()
        with door.lock:
            door.most_inside = door.inside
        wait_until(lambda: door.since(probing) > 10, timeout=20, what="ten probes")
        assert door.most_inside == 1

    @pytest.mark.chaos  # for its length
    def test_go_on_when_the_one_that_probes_is_killed(
        self, valkey: Valkey, name: str, door: BusyDoor, start: Start
    ) -> None:
        breaker = shared(name, valkey, rest=0.0)
        failed(breaker, times=FAILURES)
        door.takes = 30.0
        holder = start(valkey.url, rest=0.0, probe_lease=2.0)
        wait_until(lambda: door.inside == 1, what="a probe")
        door.takes = 0.0
        holder.kill()
        killed = time.monotonic()
        assert breaker.state == "half-open"
        start(valkey.url, rest=0.0, ramp_steps=0)
        wait_until(lambda: breaker.state == "closed", timeout=20, what="another probe")
        assert door.since(killed) >= 1
        assert "a probe was lost" in str(breaker.history())

    def test_go_on_each_by_itself_when_redis_is_killed(self, private: Valkey, door: BusyDoor, start: Start) -> None:
        workers = [start(private.url) for _ in range(3)]
        for worker in workers:
            says(worker, "called")
        private.kill()
        for worker in workers:
            says(worker, "this process's own")
        killed = time.monotonic()
        wait_until(lambda: door.since(killed) > 50, timeout=20, what="calls without Redis")
        door.up = False
        for worker in workers:
            says(worker, "Snooze")
            assert worker.log.read_text().count("this process's own") == 1
            assert "Traceback" not in worker.log.read_text()


def about_redis(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged about Redis."""
    return [record.levelname for record in caplog.records if "Redis" in record.message]


def test_without_redis_it_is_this_processs_own_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    breaker = Breaker("test", SharedStorage("test", "redis://127.0.0.1:1/0"))
    failed(breaker, times=FAILURES)
    assert breaker.state == "open"
    assert "this process's own" in caplog.text
    assert about_redis(caplog) == ["WARNING"]


def test_redis_that_goes_away_costs_no_call_and_one_warning(private: Valkey, caplog: pytest.LogCaptureFixture) -> None:
    breaker = shared("test", private)
    failed(breaker, times=FAILURES - 1)
    private.kill()
    assert breaker.call(lambda: 7) == 7
    failed(breaker, times=FAILURES)
    assert breaker.state == "open"
    assert about_redis(caplog) == ["WARNING"]


def test_redis_that_goes_away_during_a_call_costs_no_result_and_loses_no_probe(private: Valkey) -> None:
    breaker = shared("test", private, rest=0.0)
    failed(breaker, times=FAILURES)

    def call() -> int:
        private.kill()
        return 7

    assert breaker.call(call) == 7
    assert breaker.state == "closed"


def test_what_was_open_stays_open_when_redis_dies(private: Valkey) -> None:
    breaker = shared("test", private)
    failed(breaker, times=FAILURES)
    private.kill()
    with pytest.raises(Snooze):
        breaker.call(lambda: 7)


def test_redis_that_is_back_rules_again(private: Valkey, caplog: pytest.LogCaptureFixture) -> None:
    breaker = Breaker("test", SharedStorage("test", private.url, absence=0.1))
    breaker.call(lambda: 7)
    private.kill()
    failed(breaker, times=FAILURES)
    assert breaker.state == "open"
    private.start()
    wait_until(lambda: breaker.state == "closed", timeout=10, what="the state in Redis")
    shared("test", private).open_by_hand("test", "me")
    assert breaker.state == "open"
    assert about_redis(caplog) == ["WARNING"]


@pytest.mark.parametrize("opened", [True, False])
def test_redis_that_takes_no_writes_costs_no_call(
    private: Valkey, opened: bool, caplog: pytest.LogCaptureFixture
) -> None:
    rules = Rules(rest=0.0, ramp_steps=0)
    breaker = Breaker("test", SharedStorage("test", private.url, absence=0.0), rules)
    if opened:
        failed(breaker, times=FAILURES)
    with redis.Redis.from_url(private.url) as client:
        client.config_set("maxmemory", 1)
    for _ in range(3):
        assert breaker.call(lambda: 7) == 7
    assert about_redis(caplog) == ["WARNING"]


def test_a_state_that_cannot_be_read_costs_no_call(private: Valkey) -> None:
    for garbage in ("nonsense", "[]", '{"name": 1, "more": 2}'):
        with redis.Redis.from_url(private.url) as client:
            client.hset("fundlyhub:breakers:test:now", "state", garbage)
        assert shared("test", private).call(lambda: 7) == 7


def test_a_state_that_a_newer_version_wrote_is_read(private: Valkey) -> None:
    with redis.Redis.from_url(private.url) as client:
        client.hset("fundlyhub:breakers:test:now", "state", '{"name": "open", "by_hand": true, "more": 2}')
    assert shared("test", private).state == "open"


def test_counters_leave_redis_by_themselves(private: Valkey) -> None:
    clock = Clock()
    breaker = Breaker("test", SharedStorage("test", private.url), clock=clock)
    failed(breaker, times=FAILURES)
    clock.move(31)
    breaker.call(lambda: 7)
    clock.move(1)
    breaker.call(lambda: 7)
    with redis.Redis.from_url(private.url, decode_responses=True) as client:
        lasting = sorted(key for key in client.scan_iter() if client.ttl(key) == -1)
    assert lasting == ["fundlyhub:breakers:test:changes", "fundlyhub:breakers:test:now"]
