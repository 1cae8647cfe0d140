"""Read-only connections to the broker and to Redis with short timeouts."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager

import redis
from kombu import Connection
from pydantic import SecretStr

from fundlyhub.errors import Unavailable, WrongUse
from fundlyhub.processing.broker_connections import line
from fundlyhub.redis_servers import redis_at, require_one_server
from fundlyhub.server_urls import is_misconfigured, nodes, reason, where
from fundlyhub.settings import Settings


def broker(settings: Settings) -> AbstractContextManager[Connection]:
    """A connection to the broker that declares nothing. Raises as ``line`` does."""
    return line(settings, answer=settings.connect_timeout)


def ask_nodes(settings: Settings) -> str:
    """Whether the broker's nodes answer; all are asked at once.

    Raises Unavailable when none does: clients move over to one that answers.
    """
    if settings.broker_url is None:
        raise WrongUse("FUNDLYHUB_BROKER_URL is not set")
    urls = nodes(settings.broker_url.get_secret_value())
    with ThreadPoolExecutor(len(urls), thread_name_prefix="node") as pool:
        asked = [pool.submit(_node, settings, url) for url in urls]
        silent = [error for one in asked if (error := one.exception()) is not None]
    if len(silent) == len(urls):
        raise silent[0]
    if silent:
        return f"{len(urls) - len(silent)} of {len(urls)} nodes answer; {'; '.join(map(str, silent))}"
    return "answers" if len(urls) == 1 else f"all {len(urls)} nodes answer"


def _node(settings: Settings, url: str) -> None:
    with broker(settings.model_copy(update={"broker_url": SecretStr(url)})):
        pass


@contextmanager
def redis_client(url: str, settings: Settings) -> Iterator[redis.Redis]:
    """A client of Redis or Valkey. Raises Unavailable when the server fails, WrongUse if it is of the wrong kind."""
    client = open_redis(url, settings)
    try:
        yield client
    except redis.RedisError as error:
        raise redis_failed(url, error) from None
    finally:
        client.close()


def open_redis(url: str, settings: Settings) -> redis.Redis:
    """The same to be closed by the caller, who handles its errors. Raises Unavailable and WrongUse."""
    client = redis_at(url, patience=settings.connect_timeout)
    try:
        require_one_server(client)
    except redis.RedisError as error:
        client.close()
        raise redis_failed(url, error) from None
    return client


@contextmanager
def asking_redis(url: str) -> Iterator[str]:
    """The URL, for calls that make their own client. Raises as ``redis_client`` does when one of them fails."""
    try:
        yield url
    except redis.RedisError as error:
        raise redis_failed(url, error) from None


def redis_failed(url: str, error: BaseException) -> Unavailable | WrongUse:
    """The error for a failed Redis command, in words for an operator."""
    if is_misconfigured(error):
        return WrongUse(f"FUNDLYHUB_REDIS_URL or FUNDLYHUB_STREAMS_URL: {where(url)}: {reason(error)}")
    return Unavailable(f"Redis at {where(url)} failed: {reason(error)}; start it, or correct its URL")
