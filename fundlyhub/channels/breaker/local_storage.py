"""The interface of a circuit breaker's storage, and a storage in the memory of one process."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from typing import Protocol

from fundlyhub.channels.breaker.rules import BUCKETS
from fundlyhub.channels.breaker.state import HISTORY, Change, Counts, Reading, State, change
from fundlyhub.forks import in_each_process


class Storage(Protocol):
    """Storage of a breaker. Counters belong to an epoch, so each new state starts with zero."""

    def read(self) -> Reading:
        """The present state, and whether a probe is under way."""

    def swap(self, before: State, after: State) -> bool:
        """Replace a state and add a line to the history; False when ``before`` is no longer the state."""

    def lease(self, token: str, seconds: float) -> bool:
        """Take the only probe for some seconds; False when another call has it."""

    def release(self, token: str) -> None:
        """Give the probe back, if the token still holds it."""

    def add(self, epoch: str, bucket: int, *, failed: bool, keep: float, calls: int = 1) -> int:
        """Count calls in one bucket of the window and keep them for ``keep`` seconds; returns the failures in a row."""

    def flush(self) -> None:
        """Count what has only been noted so far."""

    def window(self, epoch: str, buckets: range) -> Counts:
        """Calls and failures in the buckets of a window."""

    def entered(self, epoch: str, step: int, calls: int, *, keep: float) -> int:
        """Add calls to a step of the slow start; returns its total."""

    def history(self) -> list[Change]:
        """The last changes of state, the newest first."""


class OwnStorage(Storage):
    """The state of one process, shared by its threads."""

    def __init__(self, state: State | None = None) -> None:
        in_each_process(self._begin)
        self._state = state or State()
        self._probe, self._probe_until = "", 0.0
        self._counters: Counter[tuple[str, str, int]] = Counter()
        self._changes: deque[Change] = deque(maxlen=HISTORY)

    def _begin(self) -> None:
        self._lock = threading.Lock()

    def read(self) -> Reading:
        with self._lock:
            return Reading(self._state, self._probing())

    def swap(self, before: State, after: State) -> bool:
        with self._lock:
            if self._state.epoch != before.epoch:
                return False
            self._changes.appendleft(change(before, after))
            self._state = after
            self._counters.clear()
            return True

    def lease(self, token: str, seconds: float) -> bool:
        with self._lock:
            if self._probing():
                return False
            self._probe, self._probe_until = token, time.monotonic() + seconds
            return True

    def release(self, token: str) -> None:
        with self._lock:
            if self._probe == token:
                self._probe = ""

    def add(self, epoch: str, bucket: int, *, failed: bool, keep: float, calls: int = 1) -> int:
        with self._lock:
            self._forget(bucket - BUCKETS)
            row = (epoch, "in a row", 0)
            self._counters[epoch, "calls", bucket] += calls
            self._counters[epoch, "failures", bucket] += calls * failed
            self._counters[row] = self._counters[row] + calls if failed else 0
            return self._counters[row]

    def flush(self) -> None:
        """All is counted at once."""

    def window(self, epoch: str, buckets: range) -> Counts:
        with self._lock:
            calls, failures = (
                sum(self._counters[epoch, kind, bucket] for bucket in buckets) for kind in ("calls", "failures")
            )
            return Counts(self._counters[epoch, "in a row", 0], calls, failures)

    def entered(self, epoch: str, step: int, calls: int, *, keep: float) -> int:
        with self._lock:
            self._counters[epoch, "ramp", step] += calls
            return self._counters[epoch, "ramp", step]

    def history(self) -> list[Change]:
        with self._lock:
            return list(self._changes)

    def _probing(self) -> bool:
        return bool(self._probe) and time.monotonic() < self._probe_until

    def _forget(self, bucket: int) -> None:
        """Drop the counters of buckets that have left the window."""
        for key in [key for key in self._counters if key[1] in ("calls", "failures") and key[2] < bucket]:
            del self._counters[key]
