"""The first step of a run: read the events at these positions, check them, and take those that are to be run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from logging import getLogger
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from fundlyhub.database import get_engine
from fundlyhub.errors import InvalidEvent
from fundlyhub.events import Event, StoredEvent
from fundlyhub.events.archived import among, away
from fundlyhub.events.reading import First, cut, identities, read_first
from fundlyhub.processing import attempts, dead_letters, payments
from fundlyhub.processing.attempts import EndsWait
from fundlyhub.processing.dead_letters import Known
from fundlyhub.processing.delivery import Delivery
from fundlyhub.processing.pauses import Pause, in_force
from fundlyhub.processing.processor import Processor
from fundlyhub.processing.registry import processors
from fundlyhub.processing.report import Report, Run
from fundlyhub.processing.routing import matching
from fundlyhub.settings import get_settings

if TYPE_CHECKING:  # an extra
    from fundlyhub.observability.tracing.spans import Spans

log = getLogger(__name__)

# Whether one of the events has failed before, or one of the processors is paused.
ANY_KNOWN = """
    EXISTS (
        SELECT FROM events.attempts
        WHERE processor = ANY (%(processors)s::text[]) AND position = ANY (%(positions)s::bigint[])
    )
    OR EXISTS (
        SELECT FROM events.dead_letters
        WHERE processor = ANY (%(processors)s::text[]) AND position = ANY (%(positions)s::bigint[])
    )
    OR EXISTS (SELECT FROM events.processor_pauses WHERE processor = ANY (%(processors)s::text[]) AND ended_at IS NULL)
"""


@dataclass(slots=True)
class Work:
    """What a batch comes to: rows of the log, and, once they are read, events to run and events that are refused."""

    rows: Sequence[StoredEvent] = ()
    """Without their contents in a careful run, which reads those of one event at a time."""
    ready: list[Event] = field(default_factory=list)
    refused: list[Run] = field(default_factory=list)
    """Events that are not run: one could not be read, or its payment counts already."""
    attempts: Mapping[int, attempts.Attempt] = field(default_factory=dict)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    """When it was read: by the server's clock if an event has failed before; otherwise it is not used."""
    leased: datetime | None = None
    """Until when those that have been waiting are ours."""
    replayed: Mapping[int, datetime] = field(default_factory=dict)
    """Dead letters that a person has sent again, and when they had failed last."""
    pause: Pause | None = None
    """The pause of its processor, if there is one: then only the events of a probe are run."""
    held: int = 0
    """Positions that were left out because of a pause."""
    stopped: bool = False
    """Whether its own failures have paused the processor: nothing more of it is to be run."""
    rest: Sequence[tuple[int, ...]] = ()
    """Positions that are to be run by messages of their own: together the events are too large for one process."""
    corrected: Mapping[int, int] = field(default_factory=dict)
    """Bytes of the payloads that a person has put in the place of those in the log, by position."""
    spans: Spans | None = None
    """The spans of its events, if some of them are part of a trace."""

    def attempts_of(self, position: int | None) -> int:
        """Failures of this event so far."""
        known = self.attempts.get(position or 0)
        return known.attempts if known else 0

    def delivery(self, event: Event) -> Delivery:
        """What a processor of notifications is told of an event."""
        known = self.attempts.get(event.position or 0)
        waited = self.now - known.first_seen if known else timedelta()
        context = self.spans.within(event.position) if self.spans else copy_context()
        return Delivery(event, waited, self.replayed.get(event.position or 0), context)

    def held_back(self) -> Report:
        """The events that were left out, since their processor is paused."""
        return Report(Counter(held=self.held) if self.held else Counter())


def load(processor: type[Processor], positions: Sequence[int], *, ends_wait: EndsWait, careful: bool) -> Work:
    """Read a batch from the log, check its events, and take those that are to be run.

    An event that waits is run by one message: the first that comes when its wait is over, or is ended by ``ends_wait``.
    An event whose run has not ended is left to that run, except in a careful run, which comes when a worker died. Of a
    paused processor only the events of a probe are run; the others keep their place in the log, and are sent again.

    What is read is limited in bytes (the setting ``load_bytes``), and what does not fit is the ``rest``. A careful run
    reads and checks its events itself, one by one: that may be what stopped the worker.
    """
    # Without a transaction: each statement is whole by itself, and nearly always there is only one.
    with get_engine("events").connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        found = _read(db, processor, positions, careful)
        work = Work(found.rows)
        if found.answer is not False:
            pause = in_force(db, processor.name)
            ours = [row for row in found.rows if row.position in set(pause.probing)] if pause else found.rows
            work = look(db, processor, ours)
            work.pause, work.held = pause, len(found.rows) - len(ours)
        work.rest = found.rest
        work.rows = _its_own(processor, work)
        if not careful:
            _read_corrections(db, processor, work)
            work.ready, work.refused = checked(db, processor, work.rows)
        if work.attempts:
            _take(db, processor, work, ends_wait, careful)
    return work


def _read(db: Connection, processor: type[Processor], positions: Sequence[int], careful: bool) -> First:
    """The rows at these positions, and whether anything is known of them; those that are absent are logged."""
    if careful or not processor.reads_contents:
        found = First(*identities(db, positions, ANY_KNOWN, processors=[processor.name]), [])
    else:
        found = read_first(db, positions, ANY_KNOWN, processors=[processor.name])
    tell_of_absent(db, processor.name, positions, found)
    return found


def tell_of_absent(db: Connection, whose: str, positions: Sequence[int], found: First) -> None:
    """Log how many of these positions have no row."""
    if len(found.rows) < len(wanted := set(positions)):
        absent = wanted.difference((row.position for row in found.rows), *found.rest)
        if absent:
            log.warning(
                "%s: %d of %d positions are not in the log, %d of them archived",
                whose, len(absent), len(wanted), len(among(absent, away(db))),
            )  # fmt: skip


def _its_own(processor: type[Processor], work: Work) -> list[StoredEvent]:
    """The events that the processor wants, or has failed to handle before; the relay sends it no others.

    A message may have waited while the log was restored, or be none of the relay's. Its events are not claimed.
    """
    rows = [
        row
        for row in work.rows
        if _wants(processor, row.type)  # type: ignore[arg-type]  # mypy takes an instance's __hash__ for the class's
        or row.position in work.attempts
        or row.position in work.replayed
    ]
    if len(rows) < len(work.rows):
        log.warning("%s: %d of %d events are of types that it does not handle; they are left alone",
                    processor.name, len(work.rows) - len(rows), len(work.rows))  # fmt: skip
    return rows


@lru_cache(10_000)
def _wants(processor: type[Processor], kind: str) -> bool:
    """Whether it wants a type, or one does that takes it over: an older relay still sends that here."""
    successors = [one for one in processors().values() if one.takes_over == processor.name]
    return matching(pattern for one in (processor, *successors) for pattern in one.patterns())(kind)


def look(db: Connection, processor: type[Processor], rows: Sequence[StoredEvent]) -> Work:
    """Find what is known of these events, whether they wait or not; nothing is taken.

    What rests as a dead letter is left out: it stays there, whatever is sent again. Corrections are not read yet.
    """
    known = attempts.read(db, processor.name, [row.position for row in rows])
    letters = _letters_of(db, processor, rows)
    resting = {position for position, letter in letters.items() if letter.rests}
    dead_letters.forget_waits(db, processor.name, sorted(resting & known.keys()))
    return Work(
        [row for row in rows if row.position not in resting],
        attempts={at: row for at, row in known.items() if at not in resting},
        replayed={at: letter.last_failed_at for at, letter in letters.items() if letter.state == "replayed"},
        now=attempts.clock(db) if known else datetime.now(UTC),
        corrected=_sizes(letters, resting),
    )


def checked(db: Connection, processor: type[Processor], rows: Sequence[StoredEvent]) -> tuple[list[Event], list[Run]]:
    """Rows of the log as events to run, and those that are refused, with the reason."""
    if not processor.reads_contents:
        return [Event.unread(row) for row in rows], []
    ready, refused = [], []
    for row in rows:
        try:
            ready.append(Event.stored(row))
        except InvalidEvent as error:
            refused.append(Run(row, error))
    if repeated := payments.repeated(db, ready):
        refused += [Run(row, repeated[row.position]) for row in rows if row.position in repeated]
        ready = [event for event in ready if event.position not in repeated]
    return ready, refused


def _take(db: Connection, processor: type[Processor], work: Work, ends_wait: EndsWait, careful: bool) -> None:
    """Leave out what waits, and what another message is running."""
    waiting = {at for at, row in work.attempts.items() if not (careful and row.error_class is None)}
    if waiting:
        taken = attempts.take(db, processor.name, sorted(waiting), ends_wait)
        waiting -= taken.keys()
        work.leased = max(taken.values(), default=None)
        work.rows = [row for row in work.rows if row.position not in waiting]
        work.ready = [event for event in work.ready if event.position not in waiting]
        work.refused = [run for run in work.refused if run.position not in waiting]


def _letters_of(db: Connection, processor: type[Processor], rows: Sequence[StoredEvent]) -> dict[int, Known]:
    """The dead letters of these events; one of another event at the position does not count."""
    ids = {row.position: row.id for row in rows}
    letters = dead_letters.known(db, processor.name, list(ids))
    return {position: letter for position, letter in letters.items() if letter.event_id == ids[position]}


def _sizes(letters: Mapping[int, Known], left_out: AbstractSet[int] = frozenset()) -> dict[int, int]:
    """Bytes of the corrections, by position."""
    sizes = {at: letter.corrected for at, letter in letters.items() if at not in left_out}
    return {at: size for at, size in sizes.items() if size is not None}


def _read_corrections(db: Connection, processor: type[Processor], work: Work) -> None:
    if work.corrected:
        first, *rest = _portions(work.rows, work.corrected) or [[]]
        work.rows = with_corrections(db, processor, first, work.corrected)
        work.rest = [*(tuple(row.position for row in portion) for portion in rest), *work.rest]


def corrected(db: Connection, processor: type[Processor], rows: Sequence[StoredEvent]) -> Iterator[list[StoredEvent]]:
    """These events with the payloads that people have put in the place of theirs, for this processor alone.

    In portions, each of which is limited in bytes.
    """
    sizes = _sizes(_letters_of(db, processor, rows))
    for portion in _portions(rows, sizes):
        yield with_corrections(db, processor, portion, sizes)


def with_corrections(
    db: Connection, processor: type[Processor], rows: Sequence[StoredEvent], sizes: Mapping[int, int]
) -> list[StoredEvent]:
    """These events with their corrected payloads; ``sizes`` has the positions of those that are corrected."""
    wanted = [row.position for row in rows if row.position in sizes]
    found = dead_letters.corrections(db, processor.name, wanted) if wanted else {}
    return [
        row._replace(version=found[row.position].version, payload=found[row.position].payload)
        if row.position in found and found[row.position].event_id == row.id
        else row
        for row in rows
    ]


def _portions(rows: Sequence[StoredEvent], corrections: Mapping[int, int]) -> list[list[StoredEvent]]:
    """The rows as they were read, in portions that are limited in bytes with their corrections, too."""
    if not corrections:
        return [list(rows)]
    by_position = {row.position: row for row in rows}
    sizes = (
        (at, corrections.get(at, len(row.payload or "")) + len(row.metadata or "")) for at, row in by_position.items()
    )
    return [[by_position[at] for at in portion] for portion in cut(sizes, get_settings().load_bytes)]
