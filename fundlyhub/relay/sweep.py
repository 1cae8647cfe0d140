"""The sweep: sends again what left no trace, so that nothing depends on the broker's memory.

Per processor a cursor of its own follows the relay's at a distance of ``sweep_grace`` seconds. What it passes
is settled: claimed, a dead letter, or waiting in ``attempts``, where the sweep also looks for what is due.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from logging import getLogger
from typing import Any

import psycopg
from celery import Celery
from sqlalchemy.exc import DBAPIError

from fundlyhub.database import connect, get_engine
from fundlyhub.events.archived import away
from fundlyhub.observability.redaction import describe
from fundlyhub.processing import pauses
from fundlyhub.processing.processor import Processor
from fundlyhub.processing.routing import Batch, batches, wanting
from fundlyhub.relay.background_thread import PublishingCompanion
from fundlyhub.relay.cursor import NOTHING_SEEN, LostLeadership, SnapshotCursor
from fundlyhub.relay.due import send_due
from fundlyhub.relay.registration import starts
from fundlyhub.relay.unsettled import unsettled
from fundlyhub.retention.archives.wanted import missing
from fundlyhub.settings import Settings

log = getLogger(__name__)

PAGE = 5_000
"""Positions that are compared at a time."""

_RELAYED = "SELECT seen::text FROM events.relay_cursors WHERE name = 'main' AND epoch = %s"


class Sweeper(PublishingCompanion):
    """``epoch`` ties its cursors to the leadership of the relay that it runs beside."""

    name = "sweep"

    def __init__(self, app: Celery, settings: Settings, processors: Mapping[str, type[Processor]], epoch: int) -> None:
        super().__init__(settings.sweep_interval, app)
        self._settings, self._processors, self._epoch = settings, processors, epoch
        self._relayed: deque[tuple[float, str]] = deque()
        self._sent: dict[tuple[str, int], float] = {}

    def work(self) -> None:
        """Sweep, again and again."""
        with connect("events", settings=self._settings, autocommit=True) as db:
            cursors = {name: SnapshotCursor.take(db, f"sweep:{name}") for name in self._processors}
            while not self._stop.wait(self._settings.sweep_interval):
                self.sweep(db, cursors, now=time.monotonic())

    def sweep(self, db: psycopg.Connection[Any], cursors: Mapping[str, SnapshotCursor], *, now: float) -> None:
        """One round: what is due, then what is missing, for each processor that is not paused."""
        with get_engine("events").connect() as log_db:
            paused = pauses.paused(log_db)
        running = {name: processor for name, processor in self._processors.items() if name not in paused}
        send_due(db, self._publisher, running)
        target = self._target(db, now)
        first, archives = starts(db), away(db)
        depths = self._publisher.depths()
        for name, processor in running.items():
            start = first.get(name, 0)
            if cursors[name].seen == NOTHING_SEEN and missing(archives, processor, start):
                # It had passed them when they were archived: its cursor has been deleted since.
                log.warning("%s: its sweep would begin with events that are archived: restore them first", name)
                continue
            try:
                while (
                    target
                    and not self._stop.is_set()
                    and self._compare(cursors[name], processor, target, start, depths, now)
                ):
                    pass
            except DBAPIError as error:
                log.warning("%s: its database cannot be compared now (%s)", name, describe(error))
        self._wake(running, depths)
        self._sent = {key: at for key, at in self._sent.items() if now - at < self._settings.sweep_grace}

    def _wake(self, running: Mapping[str, type[Processor]], depths: Mapping[str, int]) -> None:
        """An empty batch for each processor that has left something undone and waits for no other message."""
        for name, processor in running.items():
            try:
                wanted = depths[processor.queue] == 0 and processor.has_more()
            except Exception as error:  # any processor may be another package's, and the others do not wait for it
                log.warning("%s: it cannot be told whether there is more to do (%s)", name, describe(error))
                continue
            if wanted:
                self._publisher.send([Batch((processor,), ())])

    def _target(self, db: psycopg.Connection[Any], now: float) -> str | None:
        """The newest snapshot that the relay was done with at least ``sweep_grace`` seconds ago."""
        row = db.execute(_RELAYED, (self._epoch,)).fetchone()
        if row is None:
            raise LostLeadership("main")
        self._relayed.append((now, row[0]))
        old = [seen for at, seen in self._relayed if now - at >= self._settings.sweep_grace]
        while len(self._relayed) > 1 and now - self._relayed[1][0] >= self._settings.sweep_grace:
            self._relayed.popleft()
        return old[-1] if old else None

    def _compare(
        self,
        cursor: SnapshotCursor,
        processor: type[Processor],
        target: str,
        start: int,
        depths: Mapping[str, int],
        now: float,
    ) -> bool:
        """Compare one page with the traces that its events left; tell whether to go on with the next."""
        if not cursor.open(target):
            return False
        rows = cursor.page(PAGE)
        wants = wanting(processor)
        wanted = [position for position, kind, _ in rows if position > start and wants(kind)]
        missing = unsettled(cursor.db, processor, wanted)
        if missing:
            overdue = self._overdue(rows, missing)
            if depths[processor.queue] == 0 or overdue:
                self._send_missing(processor, missing, now)
            # What lies before the first missing one is settled for good.
            settled = [position for position, _, _ in rows if position < missing[0]]
            if settled:
                cursor.move(settled[-1])
            return False
        cursor.move(rows[-1][0] if len(rows) == PAGE else None)
        return len(rows) == PAGE

    def _overdue(self, rows: Iterable[tuple[int, str, Any]], missing: Sequence[int]) -> bool:
        """Whether the oldest missing event is so old that a queue which is never empty is no excuse."""
        recorded = next(at for position, _, at in rows if position == missing[0])
        age = time.time() - recorded.timestamp()
        return bool(age > self._settings.sweep_patience)

    def _send_missing(self, processor: type[Processor], missing: Sequence[int], now: float) -> None:
        fresh = [
            position
            for position in missing
            if now - self._sent.get((processor.name, position), float("-inf")) >= self._settings.sweep_grace
        ]
        if not fresh:
            return
        log.warning("%s: %d events left no trace; sending them again", processor.name, len(fresh))
        self._publisher.send(batches(processor, fresh))
        self._sent.update({(processor.name, position): now for position in fresh})
