"""How a circuit breaker comes back: one probe at a time, growing rests, and a ramp."""

from __future__ import annotations

import threading
from uuid import uuid4

import pytest

from fundlyhub.channels.breaker import SharedStorage
from fundlyhub.channels.breaker.local_storage import OwnStorage
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.errors import Snooze, Transient
from tests.channels.breakers import FAILURES, Clock, Make, failed, lets_in, snoozed


class TestProbes:
    def test_one_that_succeeds_closes_it(self, make: Make, clock: Clock) -> None:
        breaker = make()
        failed(breaker, times=FAILURES)
        clock.move(29.9)
        assert not lets_in(breaker)
        clock.move(0.2)
        assert lets_in(breaker)
        assert breaker.state == "closed"

    def test_the_rest_doubles_with_each_that_fails_and_is_set_back_when_it_closes(
        self, make: Make, clock: Clock
    ) -> None:
        breaker = make(ramp_steps=0)
        failed(breaker, times=FAILURES)
        for rest in (30, 60, 120, 240, 300, 300):
            assert rest <= snoozed(breaker) <= 1.1 * rest + 1
            clock.move(rest)
            failed(breaker)
        clock.move(300)
        assert lets_in(breaker)
        failed(breaker, times=FAILURES)
        assert snoozed(breaker) <= 34

    def test_one_at_a_time_and_looking_takes_none(self, make: Make, clock: Clock) -> None:
        one, other = make(), make()
        failed(one, times=FAILURES)
        clock.move(31)
        for _ in range(3):
            other.check()

        def probe() -> None:
            assert one.state == other.state == "half-open"
            assert 1 <= snoozed(other) <= 3

        one.call(probe)
        assert other.state == "closed"

    def test_one_that_tells_nothing_is_followed_by_the_rest_that_the_service_asks_for(
        self, make: Make, clock: Clock
    ) -> None:
        breaker = make()
        failed(breaker, times=FAILURES)
        clock.move(31)
        failed(breaker, Snooze("too many requests", seconds=100))
        assert 100 <= snoozed(breaker) <= 111
        clock.move(100)
        failed(breaker)
        assert 60 <= snoozed(breaker) <= 67, "it was neither a failed probe nor a successful one"

    def test_one_that_is_slow_is_a_failure(self, make: Make, clock: Clock) -> None:
        breaker = make()
        failed(breaker, times=FAILURES)
        clock.move(31)
        breaker.call(lambda: clock.move(6))
        assert 60 <= snoozed(breaker) <= 67

    def test_one_that_is_lost_is_followed_by_another_and_its_late_result_counts_for_nothing(
        self, make: Make, clock: Clock
    ) -> None:
        one, other = make(probe_lease=0.001), make()
        failed(one, times=FAILURES)
        clock.move(31)

        def lost() -> int:
            threading.Event().wait(0.05)
            failed(other)
            return 7

        assert one.call(lost) == 7
        assert one.state == "open", "the second probe failed; the first one's success comes too late"


def test_who_has_lost_the_probe_does_not_give_back_anothers(valkey: Valkey) -> None:
    for storage in (OwnStorage(), SharedStorage(f"test-{uuid4()}", valkey.url)):
        assert storage.lease("one", 60)
        storage.release("other")
        assert storage.read().probing
        assert not storage.lease("other", 60)
        storage.release("one")
        assert storage.lease("other", 60)


class TestTheRamp:
    def test_lets_in_twice_as_many_each_second_over_all_workers(self, make: Make, clock: Clock) -> None:
        workers = [make(), make()]
        failed(workers[0], times=FAILURES)
        clock.move(31)
        assert lets_in(workers[0])
        let_in = []
        for _ in range(6):
            let_in.append(sum(lets_in(workers[number % 2]) for number in range(100)))
            clock.move(1)
        assert let_in == [1, 2, 4, 8, 16, 32]
        clock.move(4)
        assert all(lets_in(workers[0]) for _ in range(600))

    def test_spreads_the_others_over_what_is_left_of_it(self, make: Make, clock: Clock) -> None:
        breaker = make()
        breaker.open_by_hand("test", "me")
        breaker.close_by_hand("test", "me")
        for _ in range(3):
            breaker.check()
        assert lets_in(breaker)
        waits = [snoozed(breaker) for _ in range(100)]
        assert 1 <= min(waits) < 4
        assert 6 < max(waits) <= 10
        clock.move(9.5)
        for _ in range(512):
            lets_in(breaker)
        assert snoozed(breaker) == 1

    def test_counts_failures_as_usual(self, make: Make, clock: Clock) -> None:
        breaker = make()
        failed(breaker, times=FAILURES)
        clock.move(31)
        assert lets_in(breaker)
        clock.move(5)
        failed(breaker, times=FAILURES)
        assert breaker.state == "open"


def test_in_ten_minutes_of_outage_the_service_sees_a_handful_of_probes(make: Make, clock: Clock) -> None:
    workers, asked = [make() for _ in range(4)], 0

    def down() -> None:
        nonlocal asked
        asked += 1
        raise Transient("down")

    for second in range(600):
        with pytest.raises((Transient, Snooze)):
            workers[second % 4].call(down)
        clock.move(1)
    assert asked == FAILURES + 4
    clock.move(155)
    let_in = [sum(lets_in(worker) for worker in workers)]
    for _ in range(12):
        let_in.append(sum(lets_in(workers[number % 4]) for number in range(40)))
        clock.move(1)
    assert let_in[:7] == [2, 0, 2, 4, 8, 16, 32], "the probe and then the first step of the ramp, in one second"
    assert let_in[11:] == [40, 40]
