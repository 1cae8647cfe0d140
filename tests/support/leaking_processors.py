"""Processors that fail as bad code does: every text, cause, log entry and database error of theirs quotes an event."""

from __future__ import annotations

import threading
from logging import getLogger
from typing import Any, ClassVar

import structlog
from sqlalchemy import Connection

from fundlyhub.errors import Permanent, Transient
from fundlyhub.events import Event
from fundlyhub.processing import ProjectionProcessor

TABLE = "CREATE TABLE analytics.test_names (name text PRIMARY KEY)"

WAYS = ("bug", "cause", "unique", "cast", "permanent", "thread", "library", "malformed", "structlog")
"""What a search's first word makes of it; the rest of the search is quoted."""

QUOTED = "Zz9mark ada@example.org"

log = getLogger("some.library")


class TestLeakingProcessor(ProjectionProcessor):
    """Fails in the way that the search names."""

    __test__ = False
    handles = ("search.query.submitted",)
    batch_size = 5
    max_attempts = 2
    backoff = 1.0
    backoff_limit = 1.0

    def handle(self, event: Event, db: Connection) -> None:
        """One way each."""
        way, _, text = getattr(event.payload, "query", "").partition(" ")
        fail(way, text, db)


class _Broken:
    """An attribute that cannot be read."""

    def __get__(self, instance: object, owner: type) -> float:
        raise KeyError(QUOTED)


class TestBrokenProcessor(ProjectionProcessor):
    """Its failures cannot even be settled: the error leaves the task, and Celery tells of it."""

    __test__ = False
    handles = ("search.results.projected",)
    backoff: ClassVar[Any] = _Broken()

    def handle(self, event: Event, db: Connection) -> None:
        """A failure that would be tried again."""
        raise Transient("not now")


def fail(way: str, text: str, db: Connection) -> None:
    """Fail, or log, with ``text`` in all that is said."""
    match way:
        case "bug":
            raise KeyError(text)
        case "cause":
            try:
                raise ValueError(text)
            except ValueError as error:
                raise Transient("not now") from error
        case "unique":
            db.exec_driver_sql("INSERT INTO test_names VALUES (%(name)s), (%(name)s)", {"name": text})
        case "cast":
            db.exec_driver_sql("SELECT %(name)s::int", {"name": text})
        case "permanent":
            raise Permanent("never") from ValueError(text)
        case "thread":
            thread = threading.Thread(target=fail, args=("bug", text, db))
            thread.start()
            thread.join()
        case "library":
            log.error("it failed: %s", ValueError(text))
            try:
                raise ValueError(text)
            except ValueError:
                log.exception("it failed badly")
        case "malformed":
            log.error("%d people", text)
        case "structlog":
            structlog.get_logger("some.other").error("it failed", reason=ValueError(text), exc_info=ValueError(text))
