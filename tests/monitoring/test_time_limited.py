"""Jobs with a limit: one that hangs is left, named, and not begun again while it hangs."""

from __future__ import annotations

import time
from threading import Event

from fundlyhub.monitoring.time_limited import Bounded
from tests.support.platform import wait_until


def test_what_they_return_and_raise() -> None:
    error = ValueError("x")

    def fail() -> None:
        raise error

    results = Bounded().run({"good": lambda: 7, "bad": fail}, limit=10)
    assert (results["good"].value, results["good"].error) == (7, None)
    assert (results["bad"].value, results["bad"].error) == (None, error)
    assert 0 < results["good"].seconds < 10


def test_one_that_hangs_holds_up_nobody_and_is_not_begun_again() -> None:
    released, begun, bounded = Event(), [], Bounded()

    def hang() -> str:
        begun.append(1)
        released.wait(60)
        return "at last"

    began = time.monotonic()
    for _ in range(3):
        results = bounded.run({"hangs": hang, "good": lambda: 7}, limit=0.2)
        assert str(results["hangs"].error) == "no answer within 0.2 s"
        assert results["good"].value == 7
    assert time.monotonic() - began < 30
    assert len(begun) == 1
    released.set()
    wait_until(lambda: bounded.run({"hangs": hang}, limit=5)["hangs"].value == "at last", what="its end")
