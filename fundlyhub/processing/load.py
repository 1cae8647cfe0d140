"""The first step of a run: positions become checked events, or reasons why they are none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from logging import getLogger
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from fundlyhub.database import get_engine
from fundlyhub.errors import InvalidEvent
from fundlyhub.events import Event, StoredEvent
from fundlyhub.events.archived import among, away
from fundlyhub.events.log import read, read_and_ask
from fundlyhub.processing import attempts, dead_letters, payments
from fundlyhub.processing.attempts import Due
from fundlyhub.processing.dead_letters import Known
from fundlyhub.processing.pauses import Pause, in_force
from fundlyhub.processing.processor import Delivery, Processor

if TYPE_CHECKING:  # an extra
    from fundlyhub.observability.tracing.spans import Spans

log = getLogger(__name__)

# Whether one of the events has failed before, or the processor is paused.
_ANY_KNOWN = """
    EXISTS (SELECT FROM events.attempts WHERE processor = %(processor)s AND position = ANY (%(positions)s::bigint[]))
    OR EXISTS (
        SELECT FROM events.dead_letters WHERE processor = %(processor)s AND position = ANY (%(positions)s::bigint[])
    )
    OR EXISTS (SELECT FROM events.processor_pauses WHERE processor = %(processor)s AND ended_at IS NULL)
"""


@dataclass(frozen=True, slots=True)
class Refused:
    """An event that is not run: it could not be read, or its payment counts already."""

    stored: StoredEvent
    error: Exception


@dataclass(slots=True)
class Work:
    """What a batch comes to: events to run, and events that are none."""

    ready: list[Event] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    attempts: Mapping[int, attempts.Attempt] = field(default_factory=dict)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    """When it was read: by the server's clock where something has been waiting, else nobody looks at it."""
    leased: datetime | None = None
    """Until when those that have been waiting are ours."""
    replayed: Mapping[int, datetime] = field(default_factory=dict)
    """Dead letters that a person has sent again, and when they had failed last."""
    pause: Pause | None = None
    """The pause that its processor is under: then only the events of a probe are run."""
    held: int = 0
    """Positions that were left out for it."""
    stopped: bool = False
    """Whether its own failures have paused the processor: nothing more of it is to be run."""
    spans: Spans | None = None
    """The spans of its events, where some of them are part of a trace."""

    def attempts_of(self, position: int | None) -> int:
        """Failures of this event so far."""
        known = self.attempts.get(position) if position is not None else None
        return known.attempts if known else 0

    def crashes_of(self, position: int | None) -> int:
        """Runs of this event that ended with their worker's death."""
        known = self.attempts.get(position) if position is not None else None
        return known.crashes if known else 0

    def delivery(self, event: Event) -> Delivery:
        """What a processor of notifications is told of an event."""
        known = self.attempts.get(event.position or 0)
        waited = self.now - known.first_seen if known else timedelta()
        context = self.spans.within(event.position) if self.spans else copy_context()
        return Delivery(event, waited, self.replayed.get(event.position or 0), context)


def load(processor: type[Processor], positions: Sequence[int], *, due: Due, careful: bool) -> Work:
    """Read a batch from the log, check it, and take what is to be run.

    An event that waits is run by one message: the first that comes when its wait is over, or ended by ``due``. One
    whose run has not ended is left to that run, but in a careful one, which comes when its worker died. Of a processor
    that is paused only the events of a probe are run; the others keep their place in the log, and are sent again.
    """
    with get_engine("events").connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        rows, known = read_and_ask(db, positions, _ANY_KNOWN, processor=processor.name)
        if known is False:  # nearly always: it takes no transaction
            _tell_of_absent(db, processor, positions, rows)
            return _checked(db, Work(), rows)
    with get_engine("events").begin() as db:
        pause = in_force(db, processor.name)
        ours = [position for position in positions if position in set(pause.probing)] if pause else positions
        work = _taken(db, processor, look(db, processor, ours), due, careful)
    work.pause, work.held = pause, len(positions) - len(ours)
    return work


def look(db: Connection, processor: type[Processor], positions: Sequence[int]) -> Work:
    """Read events from the log, and what is known of them, whether they wait or not; nothing is taken.

    What rests as a dead letter is left out: it stays there, whatever is sent again.
    """
    rows = read(db, positions)
    _tell_of_absent(db, processor, positions, rows)
    known = attempts.read(db, processor.name, positions)
    letters = letters_of(db, processor, rows)
    resting = {position for position, letter in letters.items() if letter.rests}
    dead_letters.forget_waits(db, processor.name, sorted(resting & known.keys()))
    work = Work(attempts={at: row for at, row in known.items() if at not in resting}, replayed=_replayed(letters))
    if known:
        work.now = attempts.clock(db)
    return _checked(
        db, work, [corrected(row, letters.get(row.position)) for row in rows if row.position not in resting]
    )


def _tell_of_absent(
    db: Connection, processor: type[Processor], positions: Sequence[int], rows: Sequence[StoredEvent]
) -> None:
    wanted = set(positions)
    if len(rows) < len(wanted):
        absent = wanted - {row.position for row in rows}
        archived = len(among(absent, away(db)))
        log.warning(
            "%s: %d of %d positions are not in the log, %d of them archived",
            processor.name, len(absent), len(wanted), archived,
        )  # fmt: skip


def _checked(db: Connection, work: Work, rows: Sequence[StoredEvent]) -> Work:
    """Rows of the log as events to run, or as reasons why they are not run."""
    for row in rows:
        try:
            work.ready.append(Event.stored(row))
        except InvalidEvent as error:
            work.refused.append(Refused(row, error))
    if repeated := payments.repeated(db, work.ready):
        work.refused += [Refused(row, repeated[row.position]) for row in rows if row.position in repeated]
        work.ready = [event for event in work.ready if event.position not in repeated]
    return work


def _taken(db: Connection, processor: type[Processor], work: Work, due: Due, careful: bool) -> Work:
    """Leave out what waits, and what another message is running."""
    rows = work.attempts.items()
    waiting = {position for position, row in rows if not (careful and row.error_class is None)}
    if waiting:
        taken = attempts.take(db, processor.name, sorted(waiting), due)
        waiting -= taken.keys()
        work.leased = max(taken.values(), default=None)
        work.ready = [event for event in work.ready if event.position not in waiting]
        work.refused = [item for item in work.refused if item.stored.position not in waiting]
    return work


def letters_of(db: Connection, processor: type[Processor], rows: Sequence[StoredEvent]) -> dict[int, Known]:
    """The dead letters of these events; one of another event at the position does not count."""
    ids = {row.position: row.id for row in rows}
    letters = dead_letters.known(db, processor.name, list(ids))
    return {position: letter for position, letter in letters.items() if letter.event_id == ids[position]}


def _replayed(letters: Mapping[int, Known]) -> dict[int, datetime]:
    return {position: letter.last_failed_at for position, letter in letters.items() if letter.state == "replayed"}


def corrected(row: StoredEvent, letter: Known | None) -> StoredEvent:
    """The event with the payload that a person has put in the place of its own, for this processor alone."""
    if letter is None or letter.version is None:
        return row
    return row._replace(version=letter.version, payload=letter.payload)
