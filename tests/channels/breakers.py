"""What the tests of the circuit breaker share: a clock that is set by hand, and calls that end as they are told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from fundlyhub.channels.breaker import Breaker
from fundlyhub.channels.breaker.rules import Rules
from fundlyhub.errors import Snooze, Transient

FAILURES = Rules().failures
Make = Callable[..., Breaker]


@dataclass
class Clock:
    """A clock that stands still until it is moved."""

    now: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now

    def move(self, seconds: float) -> None:
        """Let so much time pass."""
        self.now += seconds


def fails(error: BaseException) -> Callable[[], None]:
    """A call that raises."""

    def call() -> None:
        raise error

    return call


def failed(breaker: Breaker, error: Exception | None = None, times: int = 1) -> None:
    """So many calls that fail, each with the error or with the Snooze that a Transient becomes."""
    for _ in range(times):
        with pytest.raises((type(error or Transient("down")), Snooze)):
            breaker.call(fails(error or Transient("down")))


def lets_in(breaker: Breaker) -> bool:
    """Whether a call that succeeds goes through."""
    try:
        return breaker.call(lambda: True)
    except Snooze:
        return False


def snoozed(breaker: Breaker) -> float:
    """Seconds that a call is told to wait; that nothing was called, and that looking says the same."""
    with pytest.raises(Snooze):
        breaker.check()
    called: list[int] = []
    with pytest.raises(Snooze) as caught:
        breaker.call(lambda: called.append(1))
    assert called == []
    return caught.value.seconds
