"""The breakers as operators see and change them: the state that all workers share, or none at all."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from fundlyhub.channels.breaker.breaker import Breaker
from fundlyhub.channels.breaker.redis_storage import RedisStorage
from fundlyhub.channels.breaker.state import HALF_OPEN, OPEN, Change
from fundlyhub.forks import process_cache


@dataclass(frozen=True, slots=True)
class Look:
    """A breaker at one moment. ``rest_left_seconds``: None unless it is open, 0 for one that is open by hand.

    ``calls`` and ``failures`` are those of the window that its rules look at.
    """

    service: str
    state: str
    since: datetime | None
    rest_left_seconds: float | None
    probing: bool
    failures: int
    calls: int
    failures_in_a_row: int
    reason: str | None
    who: str | None


@process_cache
def shared_breaker(service: str, redis_url: str) -> Breaker:
    """A breaker whose state is Redis's, without a substitute: what is changed must reach the workers.

    It stays connected, for the next look of this process. Its methods raise RedisError when the server does not answer.
    """
    return Breaker(service, RedisStorage(service, redis_url))


def look(service: str, redis_url: str) -> Look:
    """The state and the counts of a service's breaker. Raises RedisError when the server does not answer."""
    (state, probing), counts = shared_breaker(service, redis_url).look()
    left = 0.0 if state.by_hand else max(0.0, state.until - time.time())
    return Look(
        service, state.label, None if state.since is None else datetime.fromtimestamp(state.since, UTC),
        left if state.name == OPEN else None, probing and state.name == HALF_OPEN,
        counts.failures, counts.calls, counts.in_a_row, state.reason or None, state.who or None,
    )  # fmt: skip


def as_document(one: Look) -> dict[str, Any]:
    """The same for programs."""
    since = None if one.since is None else one.since.isoformat(timespec="seconds")
    left = None if one.rest_left_seconds is None else round(one.rest_left_seconds, 1)
    return {**asdict(one), "since": since, "rest_left_seconds": left}


def history(service: str, redis_url: str) -> list[Change]:
    """The last changes of state, the newest first. Raises RedisError when the server does not answer."""
    return shared_breaker(service, redis_url).history()
