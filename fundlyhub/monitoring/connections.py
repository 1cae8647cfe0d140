"""Connections for readings: opened for each, or kept from one to the next where somebody reads every second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Generic, TypeVar

import psycopg
import redis
from kombu import Connection as BrokerConnection

from fundlyhub.database import connect
from fundlyhub.forks import in_each_process
from fundlyhub.monitoring.servers import open_redis, redis_failed
from fundlyhub.processing.broker_connections import give_up, open_line, unreachable
from fundlyhub.settings import BRANCHES, Branch, Settings

MOST = 4
"""Connections to a server that are kept."""
IDLE = 30.0
"""Seconds for which an unused one is kept. After that it may have been cut without a word."""

T = TypeVar("T")


class Kept(Generic[T]):
    """Connections to one server. With ``keep`` one is used again, unless its reading has failed."""

    def __init__(self, open: Callable[[], T], close: Callable[[T], None], *, keep: bool) -> None:
        self._open, self._close, self._most = open, close, MOST if keep else 0
        in_each_process(self._begin)

    def _begin(self) -> None:
        self._kept: list[tuple[T, float]] = []

    @contextmanager
    def use(self) -> Iterator[T]:
        """A connection for one reading. Raises what opening it raises.

        One thread has it at a time: taking from a list and adding to it are single steps.
        """
        one = self._fresh()
        try:
            yield one
        except BaseException:
            self._close(one)
            raise
        if len(self._kept) < self._most:
            self._kept.append((one, time.monotonic()))
        else:
            self._close(one)

    def _fresh(self) -> T:
        while self._kept:
            try:
                one, since = self._kept.pop()
            except IndexError:  # another thread was faster
                break
            if time.monotonic() - since < IDLE:
                return one
            self._close(one)
        return self._open()


class Connections:
    """Connections to the databases, the broker and Redis for readings."""

    def __init__(self, settings: Settings, *, keep: bool = False) -> None:
        self._settings = settings
        self._databases: dict[Branch, Kept[psycopg.Connection[Any]]] = {
            branch: Kept(partial(connect, branch, settings=settings, autocommit=True), _close, keep=keep)
            for branch in BRANCHES
        }
        self._brokers: Kept[BrokerConnection] = Kept(
            partial(open_line, settings, answer=settings.connect_timeout), give_up, keep=keep
        )
        self._streams: Kept[redis.Redis] = Kept(lambda: open_redis(settings.streams, settings), _close, keep=keep)

    @contextmanager
    def open(self, branch: Branch) -> Iterator[psycopg.Connection[Any]]:
        """An autocommit connection to a database, for one reading. Raises Unavailable where it cannot be opened."""
        with self._databases[branch].use() as db:
            yield db

    @contextmanager
    def broker(self) -> Iterator[BrokerConnection]:
        """A connection to the broker. Raises Unavailable, also where it is lost meanwhile, and WrongUse."""
        with self._brokers.use() as connection:
            try:
                yield connection
            except connection.recoverable_connection_errors as error:
                raise unreachable(self._settings, error) from None

    @contextmanager
    def streams(self) -> Iterator[redis.Redis]:
        """A client of the server of the streams. Raises Unavailable and WrongUse."""
        with self._streams.use() as client:
            try:
                yield client
            except redis.RedisError as error:
                raise redis_failed(self._settings.streams, error) from None


def _close(one: psycopg.Connection[Any] | redis.Redis) -> None:
    one.close()
