"""Rate limits of requests, counted in Redis for all processes, or in this process while Redis is away."""

from __future__ import annotations

import time
from collections import Counter
from logging import getLogger

import redis

from fundlyhub.forks import in_each_process
from fundlyhub.redis_servers import redis_at
from fundlyhub.server_urls import reason
from fundlyhub.web.refusals import Refusal

log = getLogger(__name__)

WINDOW = 60
"""Seconds over which requests are counted."""
CALLERS = 10_000
"""Most callers that this process counts."""


class Limits:
    """Counts requests to a service by route and caller."""

    def __init__(self, service: str, redis_url: str | None) -> None:
        self._service, self._url = service, redis_url
        in_each_process(self._begin)
        self._own: Counter[str] = Counter()
        self._window = 0
        self._away = False

    def _begin(self) -> None:
        self._redis = redis_at(self._url, patience=0.5) if self._url else None

    def check(self, route: str, caller: str, most: int) -> None:
        """Raise Refusal when a caller has made more than ``most`` requests to a route in this minute."""
        window = int(time.time()) // WINDOW
        if self._count(f"fundlyhub:{self._service}:{route}:{caller}:{window}", window) > most:
            raise Refusal(429, "too many requests", retry_after=WINDOW - int(time.time()) % WINDOW)

    def _count(self, key: str, window: int) -> int:
        if self._redis is not None:
            try:
                with self._redis.pipeline() as pipe:
                    pipe.incr(key)
                    pipe.expire(key, 2 * WINDOW)
                    count, _ = pipe.execute()
                self._away = False
                return int(count)
            except redis.RedisError as error:
                if not self._away:
                    log.warning("Redis does not answer (%s): requests are counted here alone", reason(error))
                self._away = True
        if window != self._window or len(self._own) > CALLERS:
            self._window, self._own = window, Counter()
        self._own[key] += 1
        return self._own[key]
