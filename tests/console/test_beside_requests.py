"""What runs beside requests, and what all tabs share: one of each, and nobody waits for it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from fundlyhub.console.looks import Looks
from fundlyhub.console.rendering import pairs
from fundlyhub.console.runs import AT_ONCE, Run, Runs
from fundlyhub.console.verifications import Verifications
from fundlyhub.errors import Unavailable, WrongState
from fundlyhub.verification.repairing import Repairs
from tests.support.platform import wait_until


def test_a_reading_is_shared_while_it_is_fresh_and_until_something_was_changed() -> None:
    numbers = iter(range(9))
    shared = Looks(fresh=3_600)
    assert [shared.get("x", lambda: next(numbers)) for _ in range(3)] == [0, 0, 0]
    assert shared.get("y", lambda: next(numbers)) == 1
    shared.forget()
    assert shared.get("x", lambda: next(numbers)) == 2


def test_while_one_reads_the_others_have_the_last_value() -> None:
    shared, begun, go_on = Looks(fresh=0), Event(), Event()

    def slow() -> str:
        begun.set()
        assert go_on.wait(60)
        return "new"

    assert shared.get("x", lambda: "old") == "old"
    with ThreadPoolExecutor(1) as threads:
        reading = threads.submit(lambda: wait_until(lambda: shared.get("x", slow) == "new", what="the new value"))
        assert begun.wait(60)
        assert shared.get("x", lambda: "none") == "old"
        go_on.set()
        assert reading.result(60)


def test_what_could_not_be_read_is_read_again() -> None:
    shared = Looks(fresh=3_600)

    def fail() -> str:
        raise Unavailable("away")

    with pytest.raises(Unavailable):
        shared.get("x", fail)
    assert shared.get("x", lambda: "there") == "there"


def test_of_one_thing_one_run_at_a_time_and_of_all_things_few() -> None:
    runs, go_on = Runs(), Event()

    def work(_: Run) -> str:
        assert go_on.wait(60)
        return "done"

    first = runs.start(Run("swap", "a", "ann"), work)
    with pytest.raises(WrongState, match="a: a swap of ann is under way"):
        runs.start(Run("comparison", "a", "ben"), work)
    others = [runs.start(Run("swap", str(number), "ann"), work) for number in range(AT_ONCE - 1)]
    with pytest.raises(WrongState, match="such runs are under way"):
        runs.start(Run("swap", "one more", "ann"), work)
    go_on.set()
    wait_until(lambda: all(one.is_over for one in (first, *others)), what="the end of the runs")
    assert (runs.of("a"), first.result, first.failed) == (first, "done", "")
    again = runs.start(Run("swap", "a", "ben"), lambda _: 1 // 0)
    wait_until(lambda: again.is_over, what="its end")
    assert (again.result, again.failed) == (None, "ZeroDivisionError")


def test_a_console_that_ends_begins_no_verification() -> None:
    closed = Verifications()
    closed.stop(close=True)
    with pytest.raises(WrongState, match="about to end"):
        closed.start(["--sample", "1"], who="ann")
    assert closed.newest is None


def test_what_sending_again_mends_is_sent_and_nothing_else() -> None:
    one = {"kind": "missing", "processor": "feed", "position": 1, "repairable": True}
    findings = [
        one, {**one, "position": 2}, {**one, "kind": "stuck", "position": 2},
        {**one, "repairable": False, "position": 3},
        {**one, "processor": "of another release", "position": 4},
    ]  # fmt: skip
    repairs = Repairs.of(findings, ["feed"])
    assert (repairs.missing, repairs.overdue, repairs.counts) == ({"feed": [1, 2]}, {"feed": [2]}, {"feed": 2})


def test_names_and_values_are_text() -> None:
    assert pairs({"<b>": "<i>", "n": 1}) == "&lt;b&gt; &lt;i&gt;, n 1"
    assert "\x1b" not in pairs("\x1b[31m")
    assert pairs(None) == ""
