"""A circuit breaker's state in Redis, and in this process while Redis is away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from logging import getLogger
from typing import TypeVar

import redis

from fundlyhub.channels.breaker.local_storage import OwnStorage, Storage
from fundlyhub.channels.breaker.redis_storage import RedisStorage
from fundlyhub.channels.breaker.state import Change, Counts, Reading, State
from fundlyhub.forks import in_each_process
from fundlyhub.server_urls import reason

log = getLogger(__name__)

ABSENCE = 30.0
"""Seconds that Redis is left alone after it did not answer."""

T = TypeVar("T")


class SharedStorage:
    """The state in Redis; while that does not answer or takes no writes, that of this process, with one warning.

    It goes on from the last state that was seen in Redis. When Redis is back, the state there is what counts.
    """

    def __init__(self, service: str, redis_url: str, *, absence: float = ABSENCE) -> None:
        self._service, self._redis = service, RedisStorage(service, redis_url)
        self._own, self._seen = OwnStorage(), State()
        in_each_process(self._begin)
        self._absence, self._away, self._ask_again = absence, False, 0.0

    def _begin(self) -> None:
        self._lock = threading.Lock()

    def read(self) -> Reading:
        """See Storage."""
        reading = self._ask(lambda storage: storage.read())
        self._seen = reading.state
        return reading

    def swap(self, before: State, after: State) -> bool:
        """See Storage."""
        done = self._ask(lambda storage: storage.swap(before, after))
        if done:
            self._seen = after
        return done

    def lease(self, token: str, seconds: float) -> bool:
        """See Storage."""
        return self._ask(lambda storage: storage.lease(token, seconds))

    def release(self, token: str) -> None:
        """See Storage."""
        self._ask(lambda storage: storage.release(token))

    def add(self, epoch: str, bucket: int, *, failed: bool, keep: float) -> int:
        """See Storage."""
        return self._ask(lambda storage: storage.add(epoch, bucket, failed=failed, keep=keep))

    def window(self, epoch: str, buckets: range) -> Counts:
        """See Storage."""
        return self._ask(lambda storage: storage.window(epoch, buckets))

    def entered(self, epoch: str, step: int, calls: int, *, keep: float) -> int:
        """See Storage."""
        return self._ask(lambda storage: storage.entered(epoch, step, calls, keep=keep))

    def history(self) -> list[Change]:
        """See Storage."""
        return self._ask(lambda storage: storage.history())

    def _ask(self, question: Callable[[Storage], T]) -> T:
        if not self._away or self._back():
            try:
                return question(self._redis)
            except redis.RedisError as error:
                self._leave(error)
        return question(self._own)

    def _leave(self, error: redis.RedisError) -> None:
        with self._lock:
            self._ask_again = time.monotonic() + self._absence
            if not self._away:
                self._own, self._away = OwnStorage(self._seen), True
                log.warning(
                    "Redis does not answer (%s): the breaker of %s is this process's own",
                    reason(error), self._service,
                )  # fmt: skip

    def _back(self) -> bool:
        """Whether Redis is there again. One that can only be read would be gone with the next call."""
        with self._lock:
            if time.monotonic() < self._ask_again:
                return not self._away
            self._ask_again = time.monotonic() + self._absence
        try:
            self._redis.require_writes()
        except redis.RedisError:
            return False
        self._away = False
        log.info("Redis answers again: the breaker of %s is shared", self._service)
        return True
