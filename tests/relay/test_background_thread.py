"""Threads beside the relay: tried again when they fail, gone when they have nothing to do or no leader."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from fundlyhub.relay.background_thread import Companion, running
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
    companion = Counted(lambda run: None)
    with running(companion):
        wait_until(lambda: not companion.alive(), what="its end")
    assert (companion.runs, companion.closed) == (1, 1)


def test_a_companion_that_fails_is_begun_anew() -> None:
    companion = Counted(fail_twice_then_wait)
    with running(companion):
        wait_until(lambda: companion.runs == 3, what="the third run")
    assert not companion.alive()
    assert companion.closed == 3


def test_a_companion_whose_relay_has_lost_the_lead_ends() -> None:
    companion = Counted(lose)
    with running(companion):
        wait_until(lambda: not companion.alive(), what="its end")
    assert companion.runs == 1


def test_threads_that_hang_are_waited_for_together_and_not_one_after_the_other() -> None:
    released = threading.Event()

    def hang(run: int) -> None:
        released.wait()

    companions = [Counted(hang) for _ in range(8)]
    with running(*companions, patience=0.3):
        wait_until(lambda: all(companion.runs for companion in companions), what="their beginning")
        began = time.monotonic()
    assert 0.3 <= time.monotonic() - began < 2.0
    released.set()
    wait_until(lambda: not any(companion.alive() for companion in companions), what="their end")
