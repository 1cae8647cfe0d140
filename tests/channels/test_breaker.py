"""The circuit breaker: what opens and closes it, who is let in, and what becomes of late results."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from fundlyhub.channels.breaker import Breaker, shared_storage
from fundlyhub.channels.breaker_own import OwnStorage, Storage
from fundlyhub.channels.breaker_rules import Rules
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.errors import AddressGone, OutcomeUnknown, Permanent, ProcessingError, ServiceRefuses, Snooze, Transient
from tests.channels.breakers import Clock, failed, fails, lets_in

FAILURES = Rules().failures
Make = Callable[..., Breaker]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["own", "redis"])
def make(request: pytest.FixtureRequest, clock: Clock) -> Make:
    """Makes breakers that share one state: in this process, and in Valkey."""
    name, own = f"test-{uuid4()}", OwnStorage()
    url = request.getfixturevalue("valkey").url if request.param == "redis" else ""

    def make(**rules: Any) -> Breaker:
        storage: Storage = shared_storage(name, url) if url else own
        return Breaker("test", storage, Rules(**rules), clock=clock)

    return make


def snoozed(breaker: Breaker) -> float:
    """Seconds that a call is told to wait; that nothing was called, and that looking says the same."""
    with pytest.raises(Snooze):
        breaker.check()
    called: list[int] = []
    with pytest.raises(Snooze) as caught:
        breaker.call(lambda: called.append(1))
    assert called == []
    return caught.value.seconds


class TestWhatOpensIt:
    @pytest.mark.parametrize(
        "error", [Transient("down"), OutcomeUnknown("cut"), ServiceRefuses("wrong key", seconds=600)]
    )
    def test_failures_in_a_row(self, make: Make, error: ProcessingError) -> None:
        breaker = make()
        failed(breaker, error, FAILURES - 1)
        assert breaker.state == "closed"
        failed(breaker, error)
        assert breaker.state == "open"
        assert 30 <= snoozed(breaker) <= 34

    def test_a_success_begins_the_count_anew(self, make: Make) -> None:
        breaker = make()
        failed(breaker, times=FAILURES - 1)
        assert breaker.call(lambda: 7) == 7
        failed(breaker, times=FAILURES - 1)
        assert breaker.state == "closed"

    @pytest.mark.parametrize("error", [Permanent("no such thing"), AddressGone("nobody there")])
    def test_what_is_refused_for_good_is_no_failure_of_the_service(self, make: Make, error: ProcessingError) -> None:
        breaker = make()
        failed(breaker, times=FAILURES - 1)
        failed(breaker, error, 3 * FAILURES)
        failed(breaker, times=FAILURES - 1)
        assert breaker.state == "closed", "it was a success: the count began anew"

    @pytest.mark.parametrize("error", [Snooze("too many requests", seconds=7), ValueError("a fault of ours")])
    def test_what_says_nothing_of_the_service_is_neutral(self, make: Make, error: Exception) -> None:
        breaker = make()
        failed(breaker, times=FAILURES - 1)
        failed(breaker, error, 3 * FAILURES)
        assert breaker.state == "closed"
        failed(breaker)
        assert breaker.state == "open", "it was no success either"

    def test_a_rate_of_failures_over_the_window(self, make: Make, clock: Clock) -> None:
        breaker = make()
        for _ in range(9):
            clock.move(2)
            assert lets_in(breaker)
            failed(breaker)
        assert lets_in(breaker)
        assert breaker.state == "closed", "19 calls are too few for a rate"
        failed(breaker)
        assert breaker.state == "open"
        assert breaker.history()[0]["reason"] == "10 of 20 calls failed, the last: down"

    def test_what_has_left_the_window_is_no_part_of_the_rate(self, make: Make, clock: Clock) -> None:
        breaker = make()
        for _ in range(9):
            assert lets_in(breaker)
            failed(breaker)
        clock.move(60)
        assert lets_in(breaker)
        failed(breaker)
        assert breaker.state == "closed"

    def test_what_was_before_it_opened_is_no_part_of_the_rate(self, make: Make) -> None:
        breaker = make(ramp_steps=0)
        for _ in range(10):
            assert lets_in(breaker)
            failed(breaker)
        assert breaker.state == "open"
        breaker.close_by_hand("mended", "me")
        failed(breaker)
        assert breaker.state == "closed"

    def test_slow_calls_whose_results_are_returned_all_the_same(self, make: Make, clock: Clock) -> None:
        breaker = make(slow=2.0)

        def slow() -> int:
            clock.move(2.5)
            return 7

        for _ in range(FAILURES):
            assert breaker.call(slow) == 7
        assert breaker.state == "open"
        assert breaker.history()[0]["reason"] == "5 failures in a row, the last: a call took 2.5 s"


class TestWhatIsRaised:
    def test_a_transient_that_opens_it_spends_no_attempt(self, make: Make) -> None:
        breaker = make()
        for _ in range(FAILURES - 1):
            with pytest.raises(Transient):
                breaker.call(fails(Transient("down")))
        with pytest.raises(Snooze, match="the breaker of test is open: down") as caught:
            breaker.call(fails(Transient("down")))
        assert isinstance(caught.value.__cause__, Transient)
        assert caught.value.seconds >= 30

    def test_a_probe_that_fails_too(self, make: Make) -> None:
        breaker = make(rest=0.0)
        failed(breaker, times=FAILURES)
        with pytest.raises(Snooze) as caught:
            breaker.call(fails(Transient("down")))
        assert caught.value.seconds >= 1

    def test_an_unknown_outcome_stays_one(self, make: Make) -> None:
        breaker = make(rest=0.0)
        for _ in range(FAILURES + 1):
            with pytest.raises(OutcomeUnknown):
                breaker.call(fails(OutcomeUnknown("cut")))
        assert breaker.state == "open"


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
    for storage in (OwnStorage(), shared_storage(f"test-{uuid4()}", valkey.url)):
        assert storage.lease("one", 60)
        storage.release("other")
        assert storage.read().probing
        assert not storage.lease("other", 60)
        storage.release("one")
        assert storage.lease("other", 60)


class TestLateResults:
    """Calls that were let in while it was closed, and end after it was opened."""

    def test_a_success_does_not_close_it(self, make: Make) -> None:
        one, other = make(), make()
        assert one.call(lambda: failed(other, times=FAILURES)) is None
        assert one.state == "open"

    def test_a_failure_does_not_open_it_again(self, make: Make, clock: Clock) -> None:
        one, other = make(), make()

        def late() -> None:
            failed(other, times=FAILURES)
            clock.move(20)
            raise Transient("down")

        with pytest.raises(Snooze, match="the breaker of test is open: down"):
            one.call(late)
        assert snoozed(one) <= 12, "the rest began when it was opened"

    def test_neither_touches_a_probe_that_is_under_way(self, make: Make, clock: Clock) -> None:
        one, other = make(), make()

        def probe() -> None:
            raise Transient("down")

        def late() -> None:
            failed(other, times=FAILURES)
            clock.move(31)
            with pytest.raises(Snooze):
                other.call(probe)

        one.call(late)
        assert 60 <= snoozed(one) <= 67

    def test_failures_from_before_do_not_count_after_it_has_closed(self, make: Make, clock: Clock) -> None:
        one, other = make(ramp_steps=0), make(ramp_steps=0)

        def late() -> None:
            failed(other, times=FAILURES)
            clock.move(31)
            assert lets_in(other)
            failed(other, times=FAILURES - 1)
            raise Transient("down")

        with pytest.raises(Transient):
            one.call(late)
        assert one.state == "closed"


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


class TestByHand:
    def test_it_stays_open_until_it_is_closed(self, make: Make, clock: Clock) -> None:
        one, other = make(), make()
        one.open_by_hand("the provider moves house", "ann")
        clock.move(100_000)
        assert snoozed(other) == 60
        assert other.close_by_hand("they are in", "bob")
        assert [lets_in(one) for _ in range(3)] == [True, False, False], "the ramp"
        assert not other.close_by_hand("again", "bob")

    def test_a_probe_that_is_under_way_does_not_close_it(self, make: Make, clock: Clock) -> None:
        one, other = make(), make()
        failed(one, times=FAILURES)
        clock.move(31)
        one.call(lambda: other.open_by_hand("test", "ann"))
        assert snoozed(one) == 60

    def test_every_change_is_on_record(self, make: Make, clock: Clock) -> None:
        breaker = make()
        failed(breaker, times=FAILURES)
        clock.move(31)
        assert lets_in(breaker)
        breaker.open_by_hand("maintenance", "ann")
        newest, *_, first = breaker.history()
        assert first["at"] == "2023-11-14T22:13:20.000+00:00"
        assert newest == {
            "at": "2023-11-14T22:13:51.000+00:00", "from": "closed", "to": "open by hand", "who": "ann",
            "reason": "maintenance",
        }  # fmt: skip
        assert [(one["to"], one["who"]) for one in breaker.history()[1:]] == [
            ("closed", "automatic"), ("half-open", "automatic"), ("open", "automatic")
        ]  # fmt: skip

    def test_the_record_is_bounded(self, make: Make) -> None:
        breaker = make()
        for number in range(60):
            breaker.open_by_hand(f"{number}", "me")
        assert [one["reason"] for one in breaker.history()] == [f"{number}" for number in range(59, 9, -1)]


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


def test_a_clock_that_was_far_ahead_keeps_nobody_waiting(make: Make, clock: Clock) -> None:
    breaker = make()
    clock.move(86_400)
    failed(breaker, times=FAILURES)
    clock.move(-86_400)
    assert lets_in(breaker)
    clock.move(-86_400)
    assert all(lets_in(breaker) for _ in range(10))


def test_threads_call_side_by_side(make: Make) -> None:
    breaker, together = make(), threading.Barrier(2, timeout=20)
    threads = [threading.Thread(target=breaker.call, args=(together.wait,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not together.broken


def test_what_another_worker_opens_closes_here_and_there(valkey: Valkey) -> None:
    name = f"test-{uuid4()}"
    one, other = (Breaker(name, shared_storage(name, valkey.url), Rules(rest=0.0)) for _ in range(2))
    failed(one, times=FAILURES)
    assert other.state == "open"
    assert other.call(lambda: 7) == 7
    assert one.state == other.state == "closed"
