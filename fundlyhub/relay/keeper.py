"""The keeper: marks the log, makes partitions of claims ahead of need, and drops those that nothing asks for.

It runs beside the leading relay. Several may run at once, and any may end anywhere: each change is one transaction
under one lock, and looks again at what is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from logging import getLogger
from typing import Any, NamedTuple

import psycopg

from fundlyhub.database import connect
from fundlyhub.events.log import head
from fundlyhub.observability.redaction import describe
from fundlyhub.processing.processor import Processor
from fundlyhub.relay.background_thread import Companion
from fundlyhub.retention import log_marks
from fundlyhub.retention.claims.dropping import Verdict, drop, elsewhere, facts, verdicts
from fundlyhub.retention.claims.partitions import make_ahead
from fundlyhub.retention.horizon import retention_of
from fundlyhub.settings import Branch, Settings

log = getLogger(__name__)

NAME = "keeper"


class Dropped(NamedTuple):
    """A partition that is gone, and how many claims of each processor went with it."""

    branch: Branch
    name: str
    low: int
    high: int
    claims: Mapping[str, int]


class Keeper(Companion):
    """``processors`` tell where claims are; without a retention nothing is dropped."""

    name = NAME

    def __init__(self, settings: Settings, processors: Mapping[str, type[Processor]]) -> None:
        super().__init__(settings.sweep_interval)
        self._settings, self._processors = settings, processors
        self._retention = retention_of(settings, processors)

    def work(self) -> None:
        """Keep them, again and again."""
        with connect("events", settings=self._settings, autocommit=True) as events:
            before = 0
            while True:
                log_marks.take(events, before)
                before = head(events)
                for branch in branches(self._processors):
                    self._keep(events, branch)
                if self._stop.wait(self._settings.sweep_interval):
                    break

    def _keep(self, events: psycopg.Connection[Any], branch: Branch) -> None:
        """One round in one database; what cannot be done now is left to the next, and the others are not held up."""
        try:
            with connect(branch, settings=self._settings, autocommit=True) as db:
                keep(events, db, branch, self._settings.claims_partition)
                if self._retention is not None:
                    list(prune(events, db, branch, self._processors, self._retention, who=NAME))
        except psycopg.errors.LockNotAvailable:
            log.info("%s: its partitions are in use; they are changed later", branch)
        except Exception as error:
            log.warning("%s: its partitions of claims could not be kept (%s)", branch, describe(error))


def branches(processors: Mapping[str, type[Processor]]) -> list[Branch]:
    """The databases in which these processors have their claims."""
    return sorted({cls.database for cls in processors.values()})


def keep(events: psycopg.Connection[Any], db: psycopg.Connection[Any], branch: Branch, size: int) -> None:
    """Make what is missing in one database. Both are autocommit connections."""
    for made in make_ahead(db, head(events), size):
        log.info("%s: made a partition for claims from %d to %d", branch, made.low, made.high)


def judge(
    events: psycopg.Connection[Any],
    db: psycopg.Connection[Any],
    branch: Branch,
    processors: Mapping[str, type[Processor]],
    retention: timedelta | None,
) -> list[Verdict]:
    """Each partition of one database, with what keeps it."""
    others = elsewhere(branch, processors)
    return verdicts(events, db, others, facts(events, others, retention))


def prune(
    events: psycopg.Connection[Any],
    db: psycopg.Connection[Any],
    branch: Branch,
    processors: Mapping[str, type[Processor]],
    retention: timedelta,
    *,
    who: str,
) -> Iterator[Dropped]:
    """Drop what may go in one database, one partition after the other. Both are autocommit connections."""
    for partition, kept_by in (
        (one.partition, one.kept_by) for one in judge(events, db, branch, processors, retention)
    ):
        claims = None if kept_by else drop(db, partition, who)
        if claims is not None:
            log.warning("%s: %s dropped %d claims from %d to %d", branch, who, sum(claims.values()), *partition.range)
            yield Dropped(branch, partition.name, *partition.range, claims)


@contextmanager
def places(settings: Settings, branch: Branch) -> Iterator[tuple[psycopg.Connection[Any], psycopg.Connection[Any]]]:
    """Autocommit connections to the log and to one database of claims."""
    with (
        connect("events", settings=settings, autocommit=True) as events,
        connect(branch, settings=settings, autocommit=True) as db,
    ):
        yield events, db
