"""A circuit breaker's state in Redis, where all workers share it."""

from __future__ import annotations

import json
from collections.abc import Awaitable
from dataclasses import asdict
from typing import Any, TypeVar, cast

import redis

from fundlyhub.channels.breaker.state import HISTORY, Change, Counts, Reading, State, change
from fundlyhub.forks import in_each_process
from fundlyhub.redis_servers import redis_at

PATIENCE = 1.0
"""Seconds that Redis has to answer."""

T = TypeVar("T")

_SWAP = """
if (redis.call('HGET', KEYS[1], 'epoch') or '') ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'epoch', ARGV[2], 'state', ARGV[3])
redis.call('LPUSH', KEYS[2], ARGV[4])
redis.call('LTRIM', KEYS[2], 0, ARGV[5] - 1)
return 1
"""
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end return 0"


class RedisStorage:
    """The state in Redis or Valkey. Raises RedisError when that does not answer or refuses."""

    def __init__(self, service: str, redis_url: str) -> None:
        self._url = redis_url
        in_each_process(self._begin)
        self._prefix = f"fundlyhub:breakers:{service}"
        self._now, self._changes, self._probe = (f"{self._prefix}:{name}" for name in ("now", "changes", "probe"))

    def _begin(self) -> None:
        # One more try for a connection that was idle for so long that it was cut.
        self._redis = redis_at(self._url, patience=PATIENCE, retries=1, decode_responses=True)

    def read(self) -> Reading:
        """See Storage."""
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.hget(self._now, "state")
            pipe.exists(self._probe)
            text, probing = pipe.execute()
        return Reading(_state(text), bool(probing))

    def swap(self, before: State, after: State) -> bool:
        """See Storage."""
        line = json.dumps(change(before, after))
        values = (before.epoch, after.epoch, json.dumps(asdict(after)), line, HISTORY)
        return bool(self._redis.eval(_SWAP, 2, self._now, self._changes, *map(str, values)))

    def lease(self, token: str, seconds: float) -> bool:
        """See Storage."""
        return bool(self._redis.set(self._probe, token, nx=True, px=max(1, int(seconds * 1000))))

    def release(self, token: str) -> None:
        """See Storage."""
        self._redis.eval(_RELEASE, 1, self._probe, token)

    def add(self, epoch: str, bucket: int, *, failed: bool, keep: float) -> int:
        """See Storage."""
        key, in_a_row = f"{self._prefix}:calls:{epoch}:{bucket}", f"in_a_row:{epoch}"
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.hincrby(key, "calls", 1)
            pipe.expire(key, int(keep) + 1)
            if failed:
                pipe.hincrby(key, "failures", 1)
                pipe.hincrby(self._now, in_a_row, 1)
            else:
                pipe.hdel(self._now, in_a_row)
            results = pipe.execute()
        return int(results[-1]) if failed else 0

    def window(self, epoch: str, buckets: range) -> Counts:
        """See Storage."""
        with self._redis.pipeline(transaction=False) as pipe:
            for bucket in buckets:
                pipe.hmget(f"{self._prefix}:calls:{epoch}:{bucket}", "calls", "failures")
            pipe.hget(self._now, f"in_a_row:{epoch}")
            *parts, in_a_row = pipe.execute()
        calls, failures = (sum(int(part[index] or 0) for part in parts) for index in (0, 1))
        return Counts(int(in_a_row or 0), calls, failures)

    def entered(self, epoch: str, step: int, calls: int, *, keep: float) -> int:
        """See Storage."""
        key = f"{self._prefix}:ramp:{epoch}:{step}"
        if not calls:
            return int(_now(self._redis.get(key)) or 0)
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.incrby(key, calls)
            pipe.expire(key, int(keep) + 1)
            return int(pipe.execute()[0])

    def history(self) -> list[Change]:
        """See Storage."""
        return [_read(str(line)) for line in _now(self._redis.lrange(self._changes, 0, -1))]

    def require_writes(self) -> None:
        """Raise RedisError unless Redis takes writes."""
        self._redis.set(f"{self._prefix}:asked", "1", ex=60)


def _now(value: Awaitable[T] | T) -> T:
    """The client's types allow for its asynchronous twin."""
    return cast(T, value)


def _state(text: str | None) -> State:
    """A state as it was kept; what a newer version of the code has added is passed over."""
    found = _read(text) if text else {}
    try:
        return State(**{name: value for name, value in found.items() if name in State.__slots__})
    except (AttributeError, TypeError):
        raise redis.DataError("the state of a breaker cannot be read") from None


def _read(text: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(text)
    except ValueError:
        raise redis.DataError("the state of a breaker cannot be read") from None
    return found
