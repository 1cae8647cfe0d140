"""Threads beside the relay: tried again when they fail, gone when they have nothing to do or no leader."""

from __future__ import annotations

import threading
from collections.abc import Callable

from fundlyhub.relay.background_thread import Companion
from fundlyhub.relay.cursor import LostLeadership
from tests.support.platform import wait_until


class Counted(Companion):
    """Counts how often it begins, and does as told."""

    name = "counted"

    def __init__(self, act: Callable[[int], None]) -> None:
        super().__init__(pause=0.01)
        self._act, self.runs, self.closed = act, 0, 0

    def work(self) -> None:
        self.runs += 1
        self._act(self.runs)

    def close(self) -> None:
        self.closed += 1

    def alive(self) -> bool:
        return self._thread.is_alive()


def fail_twice_then_wait(run: int) -> None:
    if run < 3:
        raise ValueError("not yet")
    threading.Event().wait(0.1)


def lose(run: int) -> None:
    raise LostLeadership("main")


def test_a_companion_that_has_nothing_to_do_is_begun_once() -> None:
    with Counted(lambda run: None) as companion:
        wait_until(lambda: not companion.alive(), what="its end")
    assert (companion.runs, companion.closed) == (1, 1)


def test_a_companion_that_fails_is_begun_anew() -> None:
    with Counted(fail_twice_then_wait) as companion:
        wait_until(lambda: companion.runs == 3, what="the third run")
    assert not companion.alive()
    assert companion.closed == 3


def test_a_companion_whose_relay_has_lost_the_lead_ends() -> None:
    with Counted(lose) as companion:
        wait_until(lambda: not companion.alive(), what="its end")
    assert companion.runs == 1
