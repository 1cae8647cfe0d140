"""A circuit breaker around one outside service, its state shared by all workers through Redis."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from logging import getLogger
from typing import Any, TypeVar

import pybreaker

from fundlyhub.channels.breaker_storage import SharedStorage
from fundlyhub.errors import OutcomeUnknown, Snooze, Transient
from fundlyhub.settings import get_settings

log = getLogger(__name__)

FAILURES = 5
"""Failures in a row that open a breaker."""
REST = 30.0
"""Seconds that a breaker stays open before one call may try again."""

T = TypeVar("T")


class Breaker:
    """Fails fast while a service is down. What the service refuses for good is no failure of the service."""

    def __init__(self, name: str, storage: pybreaker.CircuitBreakerStorage, *, rest: float = REST) -> None:
        self._rest = rest
        self._breaker = _SideBySide(
            fail_max=FAILURES,
            reset_timeout=rest,
            exclude=[lambda error: not isinstance(error, (Transient, OutcomeUnknown))],
            state_storage=storage,
            name=name,
            throw_new_error_on_trip=False,
        )

    @property
    def state(self) -> str:
        """closed, open or half-open."""
        return str(self._breaker.current_state)

    def call(self, function: Callable[[], T]) -> T:
        """What the function returns or raises. Raises Snooze, without calling it, while the breaker is open."""
        try:
            result: T = self._breaker.call(function)
        except pybreaker.CircuitBreakerError:
            raise Snooze(f"the breaker of {self._breaker.name} is open", seconds=self._rest) from None
        return result


class _SideBySide(pybreaker.CircuitBreaker):
    """pybreaker's own ``call`` holds a lock meanwhile: the threads of a process would wait for each other's calls."""

    def call(self, func: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        result: T = self.state.call(func, *args, **kwargs)
        return result


def shared_storage(name: str, redis_url: str) -> pybreaker.CircuitBreakerStorage:
    """State that all workers share; that of this process alone while Redis does not answer."""
    return SharedStorage(name, redis_url)


@cache
def breaker(name: str) -> Breaker:
    """This process's breaker of a service, by the settings."""
    url = get_settings().redis_url
    if url is None:
        log.warning("FUNDLYHUB_REDIS_URL is not set: the breaker of %s is this process's own", name)
        return Breaker(name, pybreaker.CircuitMemoryStorage(pybreaker.STATE_CLOSED))
    return Breaker(name, shared_storage(name, url.get_secret_value()))
