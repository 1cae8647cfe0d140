"""A circuit breaker around one outside service, its state shared by all workers through Redis."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from logging import INFO, WARNING, getLogger
from typing import TypeVar

from fundlyhub.channels.breaker.burst_storage import BurstStorage
from fundlyhub.channels.breaker.gate import Gate, Pass
from fundlyhub.channels.breaker.local_storage import OwnStorage, Storage
from fundlyhub.channels.breaker.redis_storage import SharedStorage
from fundlyhub.channels.breaker.rules import Rules, bucket_length, buckets, failed
from fundlyhub.channels.breaker.state import (
    CLOSED,
    OPEN,
    Change,
    Counts,
    Reading,
    State,
    after,
    closed,
    opened_by_hand,
    put_off,
)
from fundlyhub.errors import Permanent, Snooze, Transient
from fundlyhub.observability import metrics
from fundlyhub.observability.redaction import describe
from fundlyhub.settings import get_settings

log = getLogger(__name__)

SERVICES = ("elasticsearch", "fcm", "sendgrid", "smtp", "twilio")
"""The services that have a breaker."""
DEFAULTS = Rules()

T = TypeVar("T")


class Breaker:
    """Fails fast while a service is down. A permanent refusal of one message does not count as a failure."""

    def __init__(
        self,
        name: str,
        storage: Storage | None = None,
        rules: Rules = DEFAULTS,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._name, self._rules, self._clock = name, rules, clock
        self._storage = storage or OwnStorage()
        self._gate = Gate(name, self._storage, rules)

    @property
    def state(self) -> str:
        """closed, open or half-open."""
        return self._storage.read().state.name

    def look(self) -> tuple[Reading, Counts]:
        """The current state, and the counts of its calls in the window."""
        reading = self._storage.read()
        return reading, self._storage.window(reading.state.epoch, buckets(self._clock(), self._rules))

    def history(self) -> list[Change]:
        """The last changes of state, the newest first."""
        return self._storage.history()

    def check(self) -> None:
        """Raise the Snooze that a call would raise now, without a call and without taking the probe."""
        self._gate.look(self._clock())

    def call(self, function: Callable[[], T]) -> T:
        """Call a function and count its result. Raises Snooze, without a call, while the breaker is open.

        A Transient that leaves the breaker open becomes Snooze: the service is at fault, so the message spends no
        attempt.
        """
        let_in = self._gate.enter(self._clock())
        began = self._clock()
        try:
            result = function()
        except BaseException as error:
            self._settle(let_in, error, self._clock() - began)
            if isinstance(error, Transient) and (seconds := self._wait()):
                raise Snooze(f"the breaker of {self._name} is open: {error}", seconds=seconds) from error
            raise
        self._settle(let_in, None, self._clock() - began)
        return result

    def flush(self) -> None:
        """Count the last successes of a burst of calls, so that others see them."""
        self._storage.flush()

    def open_by_hand(self, reason: str, who: str) -> None:
        """Let no call through until ``close_by_hand``."""
        self._by_hand(lambda now: opened_by_hand(now, reason, who))

    def close_by_hand(self, reason: str, who: str) -> bool:
        """Let calls through again, few at first (slow start); False when it was closed already."""
        return self._by_hand(lambda now: closed(now, reason, who), unless=CLOSED)

    def _by_hand(self, wanted: Callable[[float], State], unless: str = "") -> bool:
        while (before := self._storage.read().state).name != unless:
            if self._storage.swap(before, wanted(self._clock())):
                return True
        return False

    def _settle(self, let_in: Pass, error: BaseException | None, seconds: float) -> None:
        """Count a result and change the state, unless the state has changed since the call began."""
        metrics.called(self._name, error, seconds)
        state, verdict, now = let_in.state, failed(error, seconds, self._rules), self._clock()
        said = f"a call took {seconds:.1f} s"
        if error is not None and not isinstance(error, Permanent):
            said = describe(error)
        if verdict is not None:
            counts = self._count(state, verdict, now)
            self._move(state, after(state, verdict, counts, now, self._rules, said))
        elif let_in.token is not None:
            asked = error.seconds if isinstance(error, Snooze) else None
            self._move(state, put_off(state, asked, now, self._rules, said))
        if let_in.token is not None:
            self._storage.release(let_in.token)

    def _count(self, state: State, verdict: bool, now: float) -> Counts:
        parts, keep = buckets(now, self._rules), self._rules.window + bucket_length(self._rules)
        in_a_row = self._storage.add(state.epoch, parts[-1], failed=verdict, keep=keep)
        return self._storage.window(state.epoch, parts)._replace(in_a_row=in_a_row) if verdict else Counts()

    def _move(self, before: State, to: State | None) -> None:
        if to is not None and self._storage.swap(before, to):
            metrics.breaker(self._name, to.label)
            level = WARNING if to.name == OPEN else INFO
            log.log(level, "the breaker of %s is %s: %s", self._name, to.label, to.reason)

    def _wait(self) -> float:
        """Seconds to wait after a failed call; 0 while the breaker is closed."""
        reading = self._storage.read()
        return 0.0 if reading.state.name == CLOSED else max(1.0, self._gate.wait(reading, self._clock()))


@cache
def breaker(name: str, *, bursts: bool = False) -> Breaker:
    """This process's breaker of a service, as the settings say.

    ``bursts`` is for a caller of many calls in a row, who ends them with ``flush``.
    """
    rest = get_settings().breaker_rest
    rules = Rules(rest=rest, rest_limit=10 * rest)
    if get_settings().redis_url is None:
        log.warning("FUNDLYHUB_REDIS_URL is not set: the breaker of %s is this process's own", name)
        return Breaker(name, rules=rules)
    shared = SharedStorage(name, get_settings().redis)
    return Breaker(name, BurstStorage(shared) if bursts else shared, rules)
