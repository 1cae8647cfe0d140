"""The circuit breaker: what opens and closes it, who is let in, and what becomes of late results."""

from __future__ import annotations

import threading
from uuid import uuid4

import pytest

from fundlyhub.account import account
from fundlyhub.channels.breaker import Breaker, SharedStorage
from fundlyhub.channels.breaker.rules import Rules
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.errors import AddressGone, OutcomeUnknown, Permanent, ProcessingError, ServiceRefuses, Snooze, Transient
from tests.channels.breakers import FAILURES, Clock, Make, failed, fails, lets_in, snoozed


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
            "account": account(), "reason": "maintenance",
        }  # fmt: skip
        assert [(one["to"], one["who"]) for one in breaker.history()[1:]] == [
            ("closed", "automatic"), ("half-open", "automatic"), ("open", "automatic")
        ]  # fmt: skip

    def test_the_record_is_bounded(self, make: Make) -> None:
        breaker = make()
        for number in range(60):
            breaker.open_by_hand(f"{number}", "me")
        assert [one["reason"] for one in breaker.history()] == [f"{number}" for number in range(59, 9, -1)]


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
    one, other = (Breaker(name, SharedStorage(name, valkey.url), Rules(rest=0.0)) for _ in range(2))
    failed(one, times=FAILURES)
    assert other.state == "open"
    assert other.call(lambda: 7) == 7
    assert one.state == other.state == "closed"
