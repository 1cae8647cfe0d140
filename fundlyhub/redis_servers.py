"""Clients of Redis or Valkey, and what we ask of a server before we use it."""

from __future__ import annotations

from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry


def redis_at(
    url: str, *, patience: float, connect: float | None = None, retries: int = 0, **options: Any
) -> redis.Redis:
    """A client that waits ``patience`` seconds for an answer, and tries again ``retries`` times; nothing is connected.

    ``url`` is one of the settings', in redis-py's form; ``connect`` is its patience for a connection.
    """
    if not url.startswith("unix:"):  # a socket has no line to be kept alive
        options["socket_keepalive"] = True
    return redis.Redis.from_url(
        url, socket_timeout=patience, socket_connect_timeout=connect or patience, retry=Retry(NoBackoff(), retries),
        **options,
    )  # fmt: skip


def require_one_server(client: redis.Redis) -> None:
    """Raise ResponseError for a node of a cluster: it would take some of our keys, and refuse others.

    One that does not tell our user is taken as it is.
    """
    try:
        about = client.info("cluster")
    except redis.exceptions.NoPermissionError:
        return
    if about.get("cluster_enabled"):
        raise redis.ResponseError("cluster mode")
