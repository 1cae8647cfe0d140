"""The first step of a run: positions become checked events, or reasons why they are none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from logging import getLogger

from sqlalchemy import Connection

from fundlyhub.errors import FundlyHubError
from fundlyhub.events import Event, StoredEvent
from fundlyhub.events import read as read_log
from fundlyhub.processing import attempts, dead_letters
from fundlyhub.processing.dead_letters import Known
from fundlyhub.processing.processor import Delivery, Processor

log = getLogger(__name__)

EARLY = timedelta(seconds=2)
"""How much before its time a retry may come, since brokers count whole seconds."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An event that could not be read, and why."""

    stored: StoredEvent
    error: FundlyHubError


@dataclass(slots=True)
class Work:
    """What a batch comes to: events to run, events that are none, and those whose time has not come."""

    ready: list[Event] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    not_due: list[int] = field(default_factory=list)
    attempts: Mapping[int, attempts.Attempt] = field(default_factory=dict)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    """When it was read: by the server's clock where something has been waiting, else nobody looks at it."""
    replayed: Mapping[int, datetime] = field(default_factory=dict)
    """Dead letters that a person has sent again, and when they had failed last."""

    def attempts_of(self, position: int | None) -> int:
        """Failures of this event so far."""
        known = self.attempts.get(position) if position is not None else None
        return known.attempts if known else 0

    def delivery(self, event: Event) -> Delivery:
        """What a processor of notifications is told of an event."""
        known = self.attempts.get(event.position or 0)
        waited = self.now - known.first_seen if known else timedelta()
        return Delivery(event, waited, self.replayed.get(event.position or 0))


def load(db: Connection, processor: type[Processor], positions: Sequence[int], *, due: bool, careful: bool) -> Work:
    """Read a batch from the log and check it.

    An event that waits for a retry belongs to the message that was sent for it, and is left alone unless
    ``due``. In a careful run its attempt is our own, counted by the worker that died: it is run. What rests
    as a dead letter stays there, whatever is sent again.
    """
    wanted = sorted(set(positions))
    rows = read_log(db, wanted)
    if len(rows) < len(wanted):
        log.warning("%s: %d of %d positions are not in the log", processor.name, len(wanted) - len(rows), len(wanted))
    known = attempts.read(db, processor.name, wanted)
    letters = letters_of(db, processor, rows)
    resting = {position for position, letter in letters.items() if letter.rests}
    dead_letters.forget_waits(db, processor.name, sorted(resting & known.keys()))
    work = Work(attempts=known, replayed=_replayed(letters))
    if known:
        work.now = attempts.clock(db)
    for row in rows:
        if row.position in resting:
            continue
        waiting = known.get(row.position)
        if waiting is not None and waiting.next_at > work.now + EARLY and not (due or careful):
            work.not_due.append(row.position)
            continue
        try:
            work.ready.append(Event.stored(corrected(row, letters.get(row.position))))
        except FundlyHubError as error:
            work.refused.append(Refused(row, error))
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
    return replace(row, version=letter.version, payload=letter.payload)
