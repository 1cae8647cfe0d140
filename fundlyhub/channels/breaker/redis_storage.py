"""A circuit breaker's state in Redis, where all workers share it; in this process while Redis is away."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from functools import wraps
from logging import getLogger
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import redis

from fundlyhub.channels.breaker.local_storage import OwnStorage, Storage
from fundlyhub.channels.breaker.state import HISTORY, Change, Counts, Reading, State, change
from fundlyhub.forks import in_each_process
from fundlyhub.redis_servers import redis_at
from fundlyhub.server_urls import reason

log = getLogger(__name__)

PATIENCE = 1.0
"""Seconds that Redis has to answer."""
ABSENCE = 30.0
"""Seconds between a failure of Redis and the next call to it."""

P = ParamSpec("P")
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


class RedisStorage(Storage):
    """The state in Redis or Valkey. Raises RedisError when the server does not answer or refuses."""

    def __init__(self, service: str, redis_url: str) -> None:
        self._url = redis_url
        in_each_process(self._begin)
        self._prefix = f"fundlyhub:breakers:{service}"
        self._now, self._changes, self._probe = (f"{self._prefix}:{name}" for name in ("now", "changes", "probe"))

    def _begin(self) -> None:
        # One retry, for a connection that the server closed because it was idle.
        self._redis = redis_at(self._url, patience=PATIENCE, retries=1, decode_responses=True)

    def read(self) -> Reading:
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.hget(self._now, "state")
            pipe.exists(self._probe)
            text, probing = pipe.execute()
        return Reading(_state(text), bool(probing))

    def swap(self, before: State, after: State) -> bool:
        line = json.dumps(change(before, after))
        values = (before.epoch, after.epoch, json.dumps(asdict(after)), line, HISTORY)
        return bool(self._redis.eval(_SWAP, 2, self._now, self._changes, *map(str, values)))

    def lease(self, token: str, seconds: float) -> bool:
        return bool(self._redis.set(self._probe, token, nx=True, px=max(1, int(seconds * 1000))))

    def release(self, token: str) -> None:
        self._redis.eval(_RELEASE, 1, self._probe, token)

    def add(self, epoch: str, bucket: int, *, failed: bool, keep: float, calls: int = 1) -> int:
        key, in_a_row = f"{self._prefix}:calls:{epoch}:{bucket}", f"in_a_row:{epoch}"
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.hincrby(key, "calls", calls)
            pipe.expire(key, int(keep) + 1)
            if failed:
                pipe.hincrby(key, "failures", calls)
                pipe.hincrby(self._now, in_a_row, calls)
            else:
                pipe.hdel(self._now, in_a_row)
            results = pipe.execute()
        return int(results[-1]) if failed else 0

    def flush(self) -> None:
        """All is counted at once."""

    def window(self, epoch: str, buckets: range) -> Counts:
        with self._redis.pipeline(transaction=False) as pipe:
            for bucket in buckets:
                pipe.hmget(f"{self._prefix}:calls:{epoch}:{bucket}", "calls", "failures")
            pipe.hget(self._now, f"in_a_row:{epoch}")
            *parts, in_a_row = pipe.execute()
        calls, failures = (sum(int(part[index] or 0) for part in parts) for index in (0, 1))
        return Counts(int(in_a_row or 0), calls, failures)

    def entered(self, epoch: str, step: int, calls: int, *, keep: float) -> int:
        key = f"{self._prefix}:ramp:{epoch}:{step}"
        if not calls:
            return int(_now(self._redis.get(key)) or 0)
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.incrby(key, calls)
            pipe.expire(key, int(keep) + 1)
            return int(pipe.execute()[0])

    def history(self) -> list[Change]:
        return [_read(str(line)) for line in _now(self._redis.lrange(self._changes, 0, -1))]


def _or_own(method: Callable[Concatenate[Any, P], T]) -> Callable[Concatenate[SharedStorage, P], T]:
    """Run a method of RedisStorage, or the same one on this process's own state while Redis is away."""

    @wraps(method)
    def call(self: SharedStorage, /, *args: P.args, **kwargs: P.kwargs) -> T:
        if self._is_shared():
            try:
                return method(self, *args, **kwargs)
            except redis.RedisError as error:
                self._leave(error)
        return cast(T, getattr(self._own, method.__name__)(*args, **kwargs))

    return call


class SharedStorage(RedisStorage):
    """The state in Redis. While Redis does not answer or refuses writes: this process's own state, with one warning.

    The process continues from the last state that it read in Redis. When Redis is back, the state there counts.
    """

    def __init__(self, service: str, redis_url: str, *, absence: float = ABSENCE) -> None:
        self._service, self._absence, self._away, self._ask_again = service, absence, False, 0.0
        self._own, self._seen = OwnStorage(), State()
        super().__init__(service, redis_url)

    def _begin(self) -> None:
        super()._begin()
        self._lock = threading.Lock()

    lease, release, add = _or_own(RedisStorage.lease), _or_own(RedisStorage.release), _or_own(RedisStorage.add)
    window, entered = _or_own(RedisStorage.window), _or_own(RedisStorage.entered)
    history = _or_own(RedisStorage.history)
    _read_either, _swap_either = _or_own(RedisStorage.read), _or_own(RedisStorage.swap)

    def read(self) -> Reading:
        reading = self._read_either()
        self._seen = reading.state
        return reading

    def swap(self, before: State, after: State) -> bool:
        done = self._swap_either(before, after)
        if done:
            self._seen = after
        return done

    def _leave(self, error: redis.RedisError) -> None:
        with self._lock:
            self._ask_again = time.monotonic() + self._absence
            if not self._away:
                self._own, self._away = OwnStorage(self._seen), True
                log.warning(
                    "Redis does not answer (%s): the breaker of %s is this process's own",
                    reason(error), self._service,
                )  # fmt: skip

    def _is_shared(self) -> bool:
        """Whether Redis is in use. After a failure it must accept a write first: each call ends with one."""
        with self._lock:
            if not self._away or time.monotonic() < self._ask_again:
                return not self._away
            self._ask_again = time.monotonic() + self._absence
        try:
            self._redis.set(f"{self._prefix}:asked", "1", ex=60)
        except redis.RedisError:
            return False
        self._away = False
        log.info("Redis answers again: the breaker of %s is shared", self._service)
        return True


def _now(value: Awaitable[T] | T) -> T:
    """A command's result: the client's types allow for the asynchronous client too."""
    return cast(T, value)


def _state(text: str | None) -> State:
    """A stored state. Fields that a newer version of the code has added are ignored."""
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
