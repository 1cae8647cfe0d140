"""Connections to the broker and to Redis that only look, and give up in time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import redis
from kombu import Connection
from redis.backoff import NoBackoff
from redis.retry import Retry

from fundlyhub.errors import Unavailable
from fundlyhub.settings import Settings


@contextmanager
def broker(settings: Settings) -> Iterator[Connection]:
    """A connection to the broker. Nothing is declared.

    Raises Unavailable, in one line and without a password, when it does not answer.
    """
    wait = settings.connect_timeout
    options: dict[str, Any] = (
        {"read_timeout": wait, "write_timeout": wait}
        if settings.broker_is_amqp
        else {"socket_timeout": wait, "socket_connect_timeout": wait}
    )
    with Connection(settings.broker, connect_timeout=wait, transport_options=options) as connection:
        try:
            connection.connect()
            yield connection
        except connection.recoverable_connection_errors as error:
            where = urlsplit(settings.broker)
            raise Unavailable(
                f"cannot reach the broker at {where.hostname}:{where.port or ''} ({type(error).__name__}); "
                "start it, or correct FUNDLYHUB_BROKER_URL"
            ) from None


@contextmanager
def redis_client(url: str, settings: Settings) -> Iterator[redis.Redis]:
    """A client of Redis or Valkey. Raises Unavailable, as above, when it does not do what it is asked."""
    wait = settings.connect_timeout
    once = Retry(NoBackoff(), 0)
    with redis.Redis.from_url(url, socket_timeout=wait, socket_connect_timeout=wait, retry=once) as client:
        try:
            yield client
        except redis.RedisError as error:
            where = urlsplit(url)
            raise Unavailable(
                f"Redis at {where.hostname}:{where.port or 6379} failed ({type(error).__name__}); "
                "start it, or correct its URL"
            ) from None
