"""Admission of calls: all, a few during the slow start, one as a probe, or none."""

from __future__ import annotations

import random
from dataclasses import dataclass
from uuid import uuid4

from fundlyhub.channels.breaker.local_storage import Storage
from fundlyhub.channels.breaker.rules import Rules, calls_in_step, ramp_length, ramp_step
from fundlyhub.channels.breaker.state import CLOSED, OPEN, Reading, State, half_opened
from fundlyhub.errors import Snooze

BY_HAND = 60.0
"""Seconds that a message waits at a breaker that was opened by hand."""
PROBED = 2.0
"""Approximate wait in seconds of other calls while a probe runs."""


@dataclass(frozen=True, slots=True)
class Pass:
    """Admission of one call: the state that admitted it, and for a probe the token of its lease."""

    state: State
    token: str | None = None


class Gate:
    """Admits calls, or raises Snooze with the time to wait."""

    def __init__(self, name: str, storage: Storage, rules: Rules) -> None:
        self._name, self._storage, self._rules = name, storage, rules

    def look(self, now: float) -> None:
        """Raise the Snooze that a call would raise now. Takes neither the probe nor a place in the slow start."""
        reading = self._storage.read()
        if reading.state.name == CLOSED:
            self._ramp(reading.state, now, take=False)
        elif seconds := self.wait(reading, now):
            raise self._snooze(reading.state, seconds)

    def enter(self, now: float) -> Pass:
        """Admit one call. Raises Snooze."""
        reading = self._storage.read()
        if reading.state.name == CLOSED:
            self._ramp(reading.state, now, take=True)
            return Pass(reading.state)
        if seconds := self.wait(reading, now):
            raise self._snooze(reading.state, seconds)
        return self._probe(reading.state, now)

    def wait(self, reading: Reading, now: float) -> float:
        """Seconds to wait while the breaker is not closed; 0 when the next call may be a probe."""
        state = reading.state
        if state.by_hand:
            return BY_HAND
        # A rest much longer than the limit comes from a wrong clock.
        if state.name == OPEN and 0 < (left := state.until - now) <= 2 * self._rules.rest_limit:
            return max(1.0, left + random.uniform(0.0, 1.0 + left / 10))
        return PROBED + random.uniform(-1.0, 1.0) if reading.probing else 0.0

    def _probe(self, state: State, now: float) -> Pass:
        token, half = uuid4().hex, half_opened(state, now)
        if not self._storage.lease(token, self._rules.probe_lease):
            raise self._snooze(state, PROBED)
        # Another worker may have probed between the read and the lease.
        if not self._storage.swap(state, half):
            self._storage.release(token)
            raise self._snooze(state, PROBED)
        return Pass(half, token)

    def _ramp(self, state: State, now: float, *, take: bool) -> None:
        rules, length = self._rules, ramp_length(self._rules)
        if state.since is None or (step := ramp_step(elapsed := now - state.since, rules)) is None:
            return
        entered = self._storage.entered(state.epoch, step, int(take), keep=length)
        if entered + (not take) > calls_in_step(step, rules):
            seconds = max(1.0, random.uniform(0.0, length - elapsed))
            raise Snooze(f"the breaker of {self._name} has just closed and lets few calls in", seconds=seconds)

    def _snooze(self, state: State, seconds: float) -> Snooze:
        return Snooze(f"the breaker of {self._name} is {state.label}", seconds=seconds)
