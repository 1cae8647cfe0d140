"""The relay: moves positions from the log to the queues, as the only leader or as a hot standby."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from logging import getLogger
from typing import Any, TypeVar

import psycopg
from celery import Celery

from fundlyhub.database import connect, is_outage
from fundlyhub.observability import metrics
from fundlyhub.observability.redaction import describe
from fundlyhub.observability.tracing import relaying
from fundlyhub.processing.broker_connections import hang_up_after, is_passing
from fundlyhub.processing.processor import Processor
from fundlyhub.processing.publisher import Publisher
from fundlyhub.processing.routing import Batch, Router
from fundlyhub.relay.background_thread import Companion, running
from fundlyhub.relay.batching_delay import Pace, crowd
from fundlyhub.relay.collecting.collector import Collector
from fundlyhub.relay.cursor import LostLeadership, SnapshotCursor
from fundlyhub.relay.held_back import HeldBack
from fundlyhub.relay.keeper import Keeper
from fundlyhub.relay.leader import Wake, try_to_lead
from fundlyhub.relay.mirror import Mirror
from fundlyhub.relay.registration import register
from fundlyhub.relay.resuming import Resumer
from fundlyhub.relay.retries import Retries
from fundlyhub.relay.sweep import Sweeper
from fundlyhub.settings import Settings

log = getLogger(__name__)
T = TypeVar("T")

NAME = "main"
STANDBY_POLL = 0.5
"""Seconds between a standby's tries to lead."""
BROKER_PATIENCE = 20.0
"""Seconds for which a leader asks a broker in vain; then it lets another relay lead, which may reach the broker."""
STANDS_BACK = 2.0
"""Seconds for which it leaves the lead to others then."""
PATIENCE = 5.0
"""Seconds after a stop until what still waits for the broker is cut off; its page is sent again by the next leader."""
LINGER = 0.005
"""Seconds of empty polls before the relay sleeps: under load it is not worth being woken. A notification comes sooner
than the next poll, so that at some fifty events a second it is."""
POLL = 0.002
"""Seconds between polls while it lingers."""

_COUNT_UNROUTED = """
    INSERT INTO events.unrouted AS u (type, events, last_position) VALUES (left(%s, 200), %s, %s)
    ON CONFLICT (type) DO UPDATE SET events = u.events + excluded.events,
        last_position = greatest(u.last_position, excluded.last_position)
"""


class _LetsGo(Exception):
    """The broker does not answer this leader."""


@dataclass(slots=True)
class Progress:
    """What this process has relayed."""

    events: int = 0
    messages: int = 0
    passed_over: int = 0


class Relay:
    """Runs until ``stop`` is set. Outages of database and broker pause it; they cost no event anything."""

    def __init__(
        self,
        app: Celery,
        settings: Settings,
        processors: Mapping[str, type[Processor]],
        stop: threading.Event,
        companions: Sequence[Callable[[], Companion]] = (),
    ) -> None:
        """``companions`` are made anew and run beside it whenever it leads."""
        self._settings, self._processors, self._stop, self._more = settings, processors, stop, companions
        self._app = app
        self._router = Router(processors)
        self._publisher = Publisher(app, patience=BROKER_PATIENCE)
        self._silent_since: float | None = None
        """When the broker was asked what it has not answered since."""
        self.progress = Progress()
        self._pace = Pace()
        self._held = HeldBack()

    def run(self) -> None:
        """Lead, or wait to, until stopped."""
        hang_up_after(self._stop, PATIENCE, lambda: log.warning("the broker does not answer; leaving without it"))
        while not self._stop.is_set():
            try:
                db = self._patiently(lambda: connect("events", settings=self._settings, autocommit=True, session=True))
                if db is None:
                    break
                with db:
                    self._lead(db)
            except LostLeadership:
                log.warning("another relay has taken over; waiting to lead again")
            except _LetsGo as error:
                log.warning("the broker does not answer (%s): another relay may lead, which reaches it", error)
                self._stop.wait(STANDS_BACK)
            except psycopg.Error as error:
                if not is_outage(error):
                    raise
                log.warning("lost the events database (%s); connecting again", describe(error))
            finally:
                self._publisher.close()

    def _lead(self, db: psycopg.Connection[Any]) -> None:
        log.info("connected to the log; leads as soon as no other relay does")
        while not try_to_lead(db, NAME):
            if self._stop.wait(STANDBY_POLL):
                return
        cursor = SnapshotCursor.take(db, NAME)
        register(db, self._processors)
        log.info("leading, in epoch %d", cursor.epoch)
        wake = Wake(db)
        self._held = HeldBack()  # a resumer of the leadership before may still be on its way out
        with running(
            Sweeper(self._app, self._settings, self._processors, cursor.epoch),
            Collector(self._app, self._settings, self._processors),
            Resumer(self._app, self._settings, self._processors, self._held),
            Mirror(self._settings),
            Keeper(self._settings, self._processors),
            *(companion() for companion in self._more),
        ):
            try:
                self._relay(cursor, wake)
            finally:
                if not db.closed:
                    wake.rise()
        log.info("stopped leading")

    def _relay(self, cursor: SnapshotCursor, wake: Wake) -> None:
        idle_since: float | None = None
        while not self._stop.is_set():
            sent = self.progress.messages
            if moved := self._relay_page(cursor):
                wake.rise()
                idle_since = None
                if moved < self._settings.relay_page:  # in a backlog batches are as large as they get
                    self._stop.wait(self._pace.pause(partial(self._others_waiting, self.progress.messages - sent)))
            elif wake.asleep:
                wake.wait(self._settings.relay_poll)
            elif idle_since is None:
                idle_since = time.monotonic()
            elif time.monotonic() - idle_since > LINGER:
                wake.sleep()
            else:
                self._stop.wait(POLL)

    def _others_waiting(self, sent: int) -> int:
        """Messages in the fullest paced queue beside those just ``sent``; none when the broker does not say."""
        began = time.monotonic()
        try:
            return crowd(self._publisher.depths()) - sent
        except Exception as error:
            self._publisher.close()
            if not is_passing(error):
                raise
            self._silent_since = self._silent_since or began
            return 0

    def _relay_page(self, cursor: SnapshotCursor) -> int:
        """Move one page of the log into the queues; the number of its events."""
        if not cursor.open():
            return 0
        rows = cursor.page(self._settings.relay_page)
        pairs = [(position, kind) for position, kind, _ in rows]
        batches = list(self._router.batches(pairs, without=self._held.names))
        with relaying(cursor.db, (batch.positions for batch in batches)):
            if batches and not self._publish(batches):
                return 0
        with cursor.db.transaction():
            for kind, (events, last) in self._router.unrouted(pairs).items():
                cursor.db.execute(_COUNT_UNROUTED, (kind, events, last))
                self.progress.passed_over += events
            cursor.move(rows[-1][0] if len(rows) == self._settings.relay_page else None)
        self.progress.events += len(rows)
        self.progress.messages += len(batches)
        metrics.relayed((kind for _, kind in pairs), (name for batch in batches for name in batch.names))
        return len(rows)

    def _publish(self, batches: list[Batch]) -> bool:
        """Publish; False when stopped meanwhile. Raises _LetsGo when the broker is away for ``BROKER_PATIENCE``."""

        def send() -> bool:
            began = time.monotonic()
            try:
                self._publisher.send(batches)
            except Exception as error:
                self._silent_since = self._silent_since or began
                if is_passing(error) and time.monotonic() - self._silent_since >= BROKER_PATIENCE:
                    self._silent_since = None
                    raise _LetsGo(describe(error)) from error
                raise
            self._silent_since = None
            return True

        return bool(self._patiently(send))

    def _patiently(self, action: Callable[[], T]) -> T | None:
        """Try until it works; None when stopped meanwhile. Only outages are waited out."""
        retries = Retries(log)
        while True:
            try:
                return action()
            except Exception as error:
                if not is_passing(error):
                    raise
                if self._stop.wait(retries.failed(describe(error))):
                    return None
