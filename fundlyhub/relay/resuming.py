"""Ends pauses: sends probes while a pause lasts, and all that it held back when it is over.

The relay sends nothing to a paused processor (``held_back``), and workers drop the messages that are on their way:
their events are in the log. So what was held back is what lies beyond the sweep's mark and has left no trace; the sweep
would find it in minutes, this finds it in a second.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from logging import getLogger
from typing import Any

import psycopg
from celery import Celery
from sqlalchemy.exc import DBAPIError

from fundlyhub.database import connect, get_engine
from fundlyhub.observability.redaction import describe
from fundlyhub.processing import pauses
from fundlyhub.processing.pauses import Pause
from fundlyhub.processing.pauses.rules import PROBED
from fundlyhub.processing.processor import Processor
from fundlyhub.processing.routing import Batch, batches, wanting
from fundlyhub.relay.background_thread import PublishingCompanion
from fundlyhub.relay.cursor import NOTHING_SEEN, SnapshotCursor
from fundlyhub.relay.due import PAGE, send_due
from fundlyhub.relay.held_back import HeldBack
from fundlyhub.relay.registration import starts
from fundlyhub.relay.unsettled import unsettled
from fundlyhub.settings import Settings

log = getLogger(__name__)

POLL = 0.5
"""Seconds between two looks at the pauses."""

PAUSE_AFTER_FAILURE = 2.0
"""Seconds until it begins anew, when it has failed itself."""

_SEEN = "SELECT seen::text FROM events.relay_cursors WHERE name = %s"
_NEWEST = "SELECT position, type FROM events.events WHERE position > %s ORDER BY position DESC LIMIT %s"
# One that failed in the burst, at random: the oldest may be the only one that is bad.
_FAILED = """
    SELECT position FROM events.attempts
    WHERE processor = %s AND error_class IS NOT NULL AND fingerprint = %s ORDER BY random() LIMIT %s
"""


class Resumer(PublishingCompanion):
    """Beside the leading relay. A second one, after a change of the leader, sends what is sent already: no harm."""

    name = "resumer"

    def __init__(
        self, app: Celery, settings: Settings, processors: Mapping[str, type[Processor]], held: HeldBack
    ) -> None:
        super().__init__(PAUSE_AFTER_FAILURE, app)
        self._settings, self._processors, self._held = settings, processors, held

    def work(self) -> None:
        """Look, again and again."""
        with connect("events", settings=self._settings, autocommit=True) as db:
            while not self._stop.wait(POLL):
                self.look(db)

    def look(self, db: psycopg.Connection[Any]) -> None:
        """One round over all pauses. ``db`` is an autocommit connection to the Events DB."""
        with get_engine("events").begin() as log_db:
            found, now_paused = pauses.whole_table(log_db), pauses.paused(log_db)
        self._held.set(now_paused.keys() & self._processors.keys())  # before what was held back is looked for
        for name, processor in self._processors.items():  # of others another release takes care
            try:
                if (pause := now_paused.get(name)) is None:
                    self._end([one for one in found if one.processor == name], db, processor)
                elif pause.kind == "burst":
                    self._probe(db, processor, pause)
            except DBAPIError as error:
                log.warning("%s: its database cannot be compared now (%s)", name, describe(error))

    def _end(self, over: Sequence[Pause], db: psycopg.Connection[Any], processor: type[Processor]) -> None:
        """End what had a time of its own, and send what was held back by those that are over."""
        for pause in over:
            if pause.ended_at is None:
                with get_engine("events").begin() as log_db:
                    pauses.end(log_db, processor.name, who=pause.who, details="its time is over", kinds=(pause.kind,))
        if ended := [pause for pause in over if pause.ended_at is not None]:
            self._send_held_back(db, processor, ended)

    def _probe(self, db: psycopg.Connection[Any], processor: type[Processor], pause: Pause) -> None:
        """Let a few events through: new ones, since those that failed may be bad ones, and one that failed."""
        if not pause.probe_due:
            return
        failed = [row[0] for row in db.execute(_FAILED, (processor.name, pause.fingerprint, PROBED))]
        fresh = self._newest(db, processor) or next(self._held_back(db, processor), [])
        positions = sorted({*fresh[-(PROBED - 1) :], *failed[: max(1, PROBED - len(fresh))]})
        if not positions:  # a person has decided on all of them
            with get_engine("events").begin() as log_db:
                pauses.end(log_db, processor.name, who="relay", details="nothing waits for it", kinds=("burst",))
            return
        with get_engine("events").begin() as log_db:
            ours = pauses.start_probe(log_db, pause, positions)
        if ours:
            self._publisher.send([Batch((processor,), tuple(positions))], ends_wait=True)

    def _newest(self, db: psycopg.Connection[Any], processor: type[Processor]) -> list[int]:
        """Held-back positions at the end of the log."""
        wants = wanting(processor)
        rows = db.execute(_NEWEST, (starts(db).get(processor.name, 0), PAGE)).fetchall()
        return unsettled(db, processor, sorted(position for position, kind in rows if wants(kind)))

    def _held_back(self, db: psycopg.Connection[Any], processor: type[Processor]) -> Iterator[list[int]]:
        """Pages of positions that the sweep has not passed, and that have left no trace, up to now."""
        row = db.execute(_SEEN, (f"sweep:{processor.name}",)).fetchone()
        start = starts(db).get(processor.name, 0)
        wants = wanting(processor)
        reader = SnapshotCursor(db, processor.name, 0, row[0] if row else NOTHING_SEEN, None)
        if not reader.open():
            return
        while rows := reader.page(PAGE):
            assert reader.window is not None
            reader.window.after = rows[-1][0]  # it only reads: the sweep's own mark stays where it is
            if found := unsettled(db, processor, [at for at, kind, _ in rows if at > start and wants(kind)]):
                yield found

    def _send_held_back(self, db: psycopg.Connection[Any], processor: type[Processor], ended: Sequence[Pause]) -> None:
        """All of it, and then what is due; the rows go last, so that a relay that dies leaves it to the next."""
        sent = 0
        for positions in self._held_back(db, processor):
            if self._stop.is_set() or self._paused_again(processor):
                return
            self._publisher.send(batches(processor, positions))
            sent += len(positions)
        while not self._stop.is_set() and send_due(db, self._publisher, {processor.name: processor}) == PAGE:
            pass
        with get_engine("events").begin() as log_db:
            for pause in ended:
                pauses.remove(log_db, pause)
        log.warning("%s: its pause is over; %d events that it held back are sent", processor.name, sent)

    def _paused_again(self, processor: type[Processor]) -> bool:
        with get_engine("events").connect() as log_db:
            return pauses.in_force(log_db, processor.name) is not None
