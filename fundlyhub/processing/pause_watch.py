"""Tells a run that is under way that its processor was paused meanwhile, so that it stops between two events.

Nothing half done is left behind: what is left of the batch is not claimed and charged nothing, and is sent when the
pause is over. Where nothing watches, as in a replay, nothing is told.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from logging import getLogger
from typing import TypeVar

from sqlalchemy.exc import DBAPIError

from fundlyhub.database import get_engine

log = getLogger(__name__)
T = TypeVar("T")

LOOK = 0.5
"""Seconds between two looks; a run that is shorter costs none."""

_PAUSED = """
    SELECT EXISTS (
        SELECT FROM events.processor_pauses
        WHERE processor = ANY (%(processors)s::text[])
            AND ended_at IS NULL AND (until IS NULL OR until > clock_timestamp())
    )
"""


class Paused(Exception):
    """An event was not run to its end, since its processor was paused. It waits, and is charged nothing.

    ::

        def deliver(self, deliveries):
            left = {}
            for one in deliveries:
                if paused_meanwhile():
                    left[one.event.id] = Paused()
                else:
                    partner.tell(one.event)
            return left
    """


class _Watch:
    """One run of one or several processors."""

    def __init__(self, processors: Sequence[str]) -> None:
        self._processors, self._next, self._paused = list(processors), time.monotonic() + LOOK, False

    def look(self) -> bool:
        if not self._paused and time.monotonic() >= self._next:
            self._next = time.monotonic() + LOOK
            self._paused = self._is_paused()
            if self._paused:
                log.info("%s was paused: what is left of its batch waits", ", ".join(self._processors))
        return self._paused

    def _is_paused(self) -> bool:
        try:
            with get_engine("events").connect().execution_options(isolation_level="AUTOCOMMIT") as db:
                return bool(db.exec_driver_sql(_PAUSED, {"processors": self._processors}).scalar_one())
        except DBAPIError:  # the run itself finds out whether it matters
            return False


_watch: ContextVar[_Watch | None] = ContextVar("pause_watch", default=None)


@contextmanager
def watching(*processors: str, on: bool = True) -> Iterator[None]:
    """Watch the pauses of processors while this context lasts, unless it is not ``on``: a probe runs in a pause."""
    token = _watch.set(_Watch(processors) if on else None)
    try:
        yield
    finally:
        _watch.reset(token)


def paused_meanwhile() -> bool:
    """Whether a processor that runs here was paused since the batch began; looked up twice a second at most.

    A ``deliver`` that takes long asks between two messages, begins no more, and returns ``Paused()`` for what is left.

    ::

        def send_all(messages):
            while messages and not paused_meanwhile():
                partner.send(messages.pop())
    """
    watch = _watch.get()
    return watch is not None and watch.look()


def until_paused(items: Sequence[T]) -> Iterator[T]:
    """These items one by one. Raises Paused between two of them when the processor was paused meanwhile."""
    for number, item in enumerate(items):
        if number and paused_meanwhile():
            raise Paused
        yield item
