"""The collector: empties the dead queue, so that no event is stuck in a message without a reader.

A message is no verdict on its events. Those that are applied, or rest as dead letters, are left alone. Of the others,
those that no worker took wait for one. A message that was delivered too often is sent again event by event, and the one
that is alone in such a message is a dead letter. What is no message of ours goes to the parking queue.
"""

from __future__ import annotations

from collections.abc import Mapping
from logging import getLogger

from celery import Celery
from kombu import Message

from fundlyhub.database import get_engine
from fundlyhub.database.faults import DATABASE_ERRORS
from fundlyhub.errors import FundlyHubError
from fundlyhub.events import StoredEvent
from fundlyhub.events.reading import identities
from fundlyhub.observability.redaction import describe
from fundlyhub.processing.claims import claimed
from fundlyhub.processing.load import Work, look
from fundlyhub.processing.messages import Errand, Unreadable, expand_nothing, read
from fundlyhub.processing.outcome import DeliveryLimit, NoWorker
from fundlyhub.processing.processor import Processor
from fundlyhub.processing.report import Run
from fundlyhub.processing.routing import SHARED, Batch, shares
from fundlyhub.processing.settle import write_down
from fundlyhub.processing.shared import divided
from fundlyhub.processing.task_names import rebuild_task
from fundlyhub.relay.background_thread import PublishingCompanion
from fundlyhub.relay.collecting.dead_queue import DELIVERY_LIMIT, DeadQueue, reason_of
from fundlyhub.settings import Settings

log = getLogger(__name__)


class Collector(PublishingCompanion):
    """Looks into the dead queue every ``sweep_interval``. On Redis there is none, and nothing to do."""

    name = "collector"

    def __init__(self, app: Celery, settings: Settings, processors: Mapping[str, type[Processor]]) -> None:
        expand_nothing()
        super().__init__(settings.sweep_interval, app)
        self._settings = settings
        self._processors = processors
        self._by_task = {processor.task_name(): processor for processor in processors.values()}
        self._rebuilding = {rebuild_task(processor) for processor in processors.values()}
        self._queue = DeadQueue(settings)

    def work(self) -> None:
        """Collect, again and again."""
        while self._settings.broker_is_amqp and not self._stop.wait(self._settings.sweep_interval):
            self.collect()

    def close(self) -> None:
        """Leave the broker: a message that is not settled goes back into the queue."""
        self._queue.close()
        super().close()

    def collect(self) -> int:
        """Settle all that is in the dead queue; the number of its messages."""
        taken = 0
        while not self._stop.is_set() and (message := self._queue.get()) is not None:
            self._settle(message)
            message.ack()
            taken += 1
        return taken

    def _settle(self, message: Message) -> None:
        try:
            errand = read(message)
            if errand.task in self._rebuilding:
                return  # it carries nothing: a rebuild goes on from its own claims
            if errand.task in SHARED:
                self._divide(errand)
                return
            processor = self._by_task.get(errand.task)
            if processor is None:
                raise Unreadable(f"no processor of this release has the task {errand.task[:100]}")
        except Unreadable as error:
            log.error("a message was parked: %s", str(error))
            self._queue.park(message, str(error))
            return
        try:
            again = self._written_down(processor, errand, reason_of(message))
        except (FundlyHubError, *DATABASE_ERRORS):
            raise  # a database is away, or lacks what we need: the message waits for it
        except Exception as error:  # one message holds up none of those behind it; the sweep finds its events
            why = f"the collector failed on it ({describe(error)})"
            log.error("a message of %s was parked: %s", errand.task, why)
            self._queue.park(message, why)
            return
        if again:
            self._publisher.send([Batch((processor,), (position,)) for position in again], careful=True)

    def _divide(self, errand: Errand) -> None:
        """Send a shared message's events again, for each of its processors alone: then the faulty one is found."""
        found = {name: one for name, one in self._processors.items() if name in errand.processors and shares(one)}
        log.warning("a shared message of %d events came back; they are sent to %s alone",
                    len(errand.positions), ", ".join(sorted(found)) or "nobody")  # fmt: skip
        batches = divided(list(found.values()), errand.positions).left
        self._publisher.send([one for one in batches if one.queue == errand.task], careful=True)

    def _written_down(self, processor: type[Processor], errand: Errand, reason: str) -> list[int]:
        """What became of the events, in the tables; returns those that are to be sent again, each for itself."""
        with get_engine("events").begin() as db:
            work = look(db, processor, identities(db, errand.positions)[0])
            rows = _open(processor, work)
            if reason == DELIVERY_LIMIT:  # an event with a row of attempts is counted there
                rows = [row for row in rows if row.position not in work.attempts]
            log.warning("%s: a message of %d events came back (%s); %d of them are open",
                        processor.name, len(errand.positions), reason, len(rows))  # fmt: skip
            if reason == DELIVERY_LIMIT and len(errand.positions) > 1:
                return [row.position for row in rows]
            # The sweep sends what waits when its time has come; what rests, rests as a dead letter.
            limit = DeliveryLimit("its message was delivered too often, and no run of it came to its end")
            error = limit if reason == DELIVERY_LIMIT else NoWorker()
            write_down(db, processor, work, [Run(row, error) for row in rows])
            return []


def _open(processor: type[Processor], work: Work) -> list[StoredEvent]:
    """The events of a message that are neither applied nor rest as dead letters; none of them is read any closer."""
    with get_engine(processor.database).connect() as db:
        applied = claimed(db, processor.name, [row.position for row in work.rows])
    return [row for row in work.rows if applied.get(row.position) != row.id]
