"""Deadlines for waits on a database server, for what must not hang with it.

A server that hangs keeps no statement timeout, and its host's kernel goes on to confirm what TCP sends. So the client
itself gives up: it closes the connection, and the server rolls back once it notices.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg

if TYPE_CHECKING:
    from psycopg.abc import PQGen

RV = TypeVar("RV")

_until: ContextVar[float | None] = ContextVar("database_deadline", default=None)


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """In this block, on this thread, waits on all databases together end after so many seconds.

    An outer block's deadline stays in force. A wait that is ended raises psycopg.OperationalError. A statement that is
    sent too late gets a moment, in case that the server is well.
    """
    outer, ours = _until.get(), time.monotonic() + seconds
    token = _until.set(ours if outer is None else min(outer, ours))
    try:
        yield
    finally:
        _until.reset(token)


def connect_timeout(most: float) -> int:
    """Whole seconds in which a connection must be made. Raises psycopg.OperationalError if none is left."""
    until = _until.get()
    left = most if until is None else min(most, until - time.monotonic())
    if left <= 0:
        raise psycopg.OperationalError("the time to wait for the server is over")
    return max(2, round(left))  # libpq takes whole seconds, and 1 for 2


class PunctualConnection(psycopg.Connection[Any]):
    """A connection whose waits end at the deadline in force."""

    def wait(self, gen: PQGen[RV], *args: Any, **options: Any) -> RV:
        """As psycopg's."""
        until = _until.get()
        return super().wait(gen if until is None else self._punctual(gen, until), *args, **options)

    def _punctual(self, gen: PQGen[RV], until: float) -> Generator[Any, Any, RV]:
        """The same steps; psycopg asks for the next one each tenth of a second, also where nothing has come."""
        try:
            step = next(gen)
            while True:
                ready = yield step
                if not ready and time.monotonic() >= until:
                    self.pgconn.finish()  # what is on its way cannot be taken back
                    raise psycopg.OperationalError("the server did not answer in time")
                step = gen.send(ready)
        except StopIteration as end:
            result: RV = end.value
            return result
