"""The lag of the ingest: entries that are not read, entries that are not acknowledged, and their consumers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import redis

from fundlyhub.errors import Unavailable
from fundlyhub.observability.redaction import describe

NO_KEY = {"length": 0, "group": False, "lag": 0, "pending": 0, "lag_seconds": 0.0, "consumers": []}
"""The status of a stream without entries."""


def stream_status(client: redis.Redis, streams: Sequence[str], group: str) -> list[dict[str, Any]]:
    """Of each stream its length, lag and pending entries, the age in seconds of the oldest of them, and the consumers.

    ``lag`` is None where the server cannot tell. Raises Unavailable when the server is away.
    """
    try:
        seconds, microseconds = client.time()
        now = seconds * 1000 + microseconds // 1000
        return [{"stream": stream, **_of_stream(client, stream, group, now)} for stream in streams]
    except (redis.RedisError, OSError) as error:
        why = describe(error)
        raise Unavailable(f"the streams cannot be looked at ({why}): is FUNDLYHUB_REDIS_URL right?") from None


def _of_stream(client: redis.Redis, stream: str, group: str, now: int) -> dict[str, Any]:
    if not client.exists(stream):
        return NO_KEY
    whole: Any = client.xinfo_stream(stream)
    found = next((_texts(one) for one in _listed(client.xinfo_groups(stream)) if _texts(one)["name"] == group), None)
    if found is None:
        first = client.xrange(stream, count=1)
        return {**NO_KEY, "length": whole["length"], "lag": whole["length"], "lag_seconds": _age(now, _ids(first))}
    unread = client.xrange(stream, min=f"({found['last-delivered-id']}", count=1)
    pending: Any = client.xpending(stream, group)
    oldest = [*_ids(unread), *([pending["min"]] if pending["min"] else [])]
    return {
        "length": whole["length"],
        "group": True,
        "lag": found.get("lag") if unread else 0,
        "pending": found["pending"],
        "lag_seconds": _age(now, oldest),
        "consumers": [
            {"name": one["name"], "pending": one["pending"], "idle_seconds": one["idle"] / 1000}
            for one in map(_texts, _listed(client.xinfo_consumers(stream, group)))
        ],
    }


def _age(now: int, ids: Sequence[bytes]) -> float:
    """Seconds since the oldest of these entries was written, by the server's clock."""
    times = [int(id.partition(b"-")[0]) for id in ids]
    return round(max(0, now - min(times)) / 1000, 3) if times else 0.0


def _ids(entries: Any) -> list[bytes]:
    return [id for id, _ in entries]


def _listed(answer: Any) -> list[Mapping[Any, Any]]:
    return list(answer)


def _texts(found: Mapping[Any, Any]) -> dict[str, Any]:
    """Names and texts of an answer, which come as texts or as bytes."""
    return {_text(name): _text(value) for name, value in found.items()}


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value
