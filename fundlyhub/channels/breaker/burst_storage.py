"""A breaker's storage that is asked less often while calls follow each other quickly.

Two round trips to Redis for each call took nearly a third of the time of a worker that sends hundreds a second. A
closed state that was read a moment ago is taken for the present one, and the successes of that moment are counted in
one go. Failures, and every state but the closed one, are exact as before.
"""

from __future__ import annotations

import threading
import time
from collections import Counter

from fundlyhub.channels.breaker.local_storage import Storage
from fundlyhub.channels.breaker.state import CLOSED, Change, Counts, Reading, State
from fundlyhub.forks import in_each_process

FRESH = 0.05
"""Seconds for which a closed state holds: a worker goes on for as long after another one has opened the breaker."""


class BurstStorage(Storage):
    """Another storage, for bursts of calls. After a burst ``flush`` counts the successes that are not counted yet."""

    def __init__(self, storage: Storage, *, fresh: float = FRESH) -> None:
        self._storage, self._fresh = storage, fresh
        in_each_process(self._begin)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._closed: Reading | None = None
        self._closed_until = self._flush_at = self._keep = 0.0
        self._successes: Counter[tuple[str, int]] = Counter()

    def read(self) -> Reading:
        with self._lock:
            if self._closed is not None and time.monotonic() < self._closed_until:
                return self._closed
        reading = self._storage.read()
        with self._lock:
            self._closed = reading if reading.state.name == CLOSED else None
            self._closed_until = time.monotonic() + self._fresh
        return reading

    def swap(self, before: State, after: State) -> bool:
        try:
            return self._storage.swap(before, after)
        finally:
            self._forget()

    def add(self, epoch: str, bucket: int, *, failed: bool, keep: float, calls: int = 1) -> int:
        if failed:
            self.flush()  # a success before it ends the failures in a row
            self._forget()
            return self._storage.add(epoch, bucket, failed=True, keep=keep, calls=calls)
        with self._lock:
            self._successes[epoch, bucket] += calls
            self._keep = keep
            due = time.monotonic() >= self._flush_at
        if due:
            self.flush()
        return 0

    def flush(self) -> None:
        with self._lock:
            successes, self._successes = self._successes, Counter()
            self._flush_at = time.monotonic() + self._fresh
        for (epoch, bucket), calls in successes.items():
            self._storage.add(epoch, bucket, failed=False, keep=self._keep, calls=calls)

    def window(self, epoch: str, buckets: range) -> Counts:
        self.flush()
        return self._storage.window(epoch, buckets)

    def lease(self, token: str, seconds: float) -> bool:
        return self._storage.lease(token, seconds)

    def release(self, token: str) -> None:
        self._storage.release(token)

    def entered(self, epoch: str, step: int, calls: int, *, keep: float) -> int:
        return self._storage.entered(epoch, step, calls, keep=keep)

    def history(self) -> list[Change]:
        return self._storage.history()

    def _forget(self) -> None:
        """Ask for the state at the next call."""
        with self._lock:
            self._closed = None
