"""Where a circuit breaker keeps its state: in Redis, and in this process while Redis is away."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from logging import getLogger
from typing import Any

import pybreaker
import redis

log = getLogger(__name__)

PATIENCE = 1.0
"""Seconds that Redis has to answer."""
ABSENCE = 30.0
"""Seconds that Redis is left alone after it did not answer."""


class SharedStorage(pybreaker.CircuitBreakerStorage):
    """State in Redis; while that does not answer or takes no writes, that of this process, with one warning.

    pybreaker's own stays closed without Redis, however often calls fail, and never leaves ``open`` while Redis
    can only be read.
    """

    def __init__(self, service: str, redis_url: str) -> None:
        super().__init__("redis")
        self._redis = redis.Redis.from_url(
            redis_url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, decode_responses=True
        )
        self._service = service
        self._own: dict[str, str] = {}
        self._away = False
        self._ask_again = 0.0

    @property
    def state(self) -> str:
        """closed, open or half-open."""
        return self._get("state") or pybreaker.STATE_CLOSED

    @state.setter
    def state(self, state: str) -> None:
        self._set("state", state)

    @property
    def counter(self) -> int:
        """Failures in a row."""
        return int(self._get("failures") or 0)

    def increment_counter(self) -> None:
        """One more failure."""
        self._increment("failures")

    def reset_counter(self) -> None:
        """No failure any more."""
        self._set("failures", "0")

    @property
    def success_counter(self) -> int:
        """Successes since it is half-open."""
        return int(self._get("successes") or 0)

    def increment_success_counter(self) -> None:
        """One more success."""
        self._increment("successes")

    def reset_success_counter(self) -> None:
        """No success yet."""
        self._set("successes", "0")

    @property
    def opened_at(self) -> datetime | None:
        """When it was opened last."""
        value = self._get("opened_at")
        return datetime.fromisoformat(value) if value else None

    @opened_at.setter
    def opened_at(self, now: datetime) -> None:
        self._set("opened_at", now.astimezone(UTC).isoformat())

    def _get(self, name: str) -> str | None:
        value: str | None = self._ask(lambda: self._redis.get(self._key(name)), lambda: self._own.get(name))
        return value

    def _set(self, name: str, value: str) -> None:
        self._ask(lambda: self._redis.set(self._key(name), value), lambda: self._own.update({name: value}))

    def _increment(self, name: str) -> None:
        self._ask(
            lambda: self._redis.incr(self._key(name)),
            lambda: self._own.update({name: str(int(self._own.get(name, 0)) + 1)}),
        )

    def _key(self, name: str) -> str:
        return f"fundlyhub:breaker:{self._service}:{name}"

    def _ask(self, shared: Callable[[], Any], own: Callable[[], Any]) -> Any:
        if self._away and time.monotonic() < self._ask_again:
            return own()
        try:
            value = shared()
        except redis.RedisError as error:
            if not self._away:
                log.warning(
                    "Redis does not answer (%s): the breaker of %s is this process's own",
                    type(error).__name__, self._service,
                )  # fmt: skip
                self._own.clear()
            self._away, self._ask_again = True, time.monotonic() + ABSENCE
            return own()
        self._away = False
        return value
