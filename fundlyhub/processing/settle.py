"""The last step of a run: each event's outcome is written down, and what is left is sent again."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from logging import DEBUG, ERROR, INFO, getLogger
from typing import NamedTuple

from sqlalchemy import Connection

from fundlyhub.events import Event, StoredEvent
from fundlyhub.observability.context import facts
from fundlyhub.processing import attempts, dead_letters
from fundlyhub.processing.attempts import Postponed
from fundlyhub.processing.dead_letters import Action, DeadLetter
from fundlyhub.processing.load import Refused, Work
from fundlyhub.processing.outcome import Dead, Done, History, Outcome, Retry, Skipped, Snoozed, decide
from fundlyhub.processing.pauses.bursts import Failing, Hold
from fundlyhub.processing.pauses.rules import speaks_of_the_handler
from fundlyhub.processing.processor import Processor

log = getLogger(__name__)

HELD_WAIT = 3_600.0
"""Seconds until what waits for the end of a pause is due, should nobody bring it forward when the pause ends."""
LONGEST_COUNTDOWN = 60.0
"""Seconds; longer waits are rows that the sweep sends when they are due, not messages in a broker."""


class Run(NamedTuple):
    """How one event's run ended: an outcome, or an error to decide on, or neither when it was not run.

    ``counted`` says that the attempt is in the table already.
    """

    event: Event
    error: BaseException | None
    outcome: Outcome | None = None
    counted: bool = False


@dataclass(frozen=True, slots=True)
class Resend:
    """Positions to be sent again together, after so many whole seconds."""

    positions: tuple[int, ...]
    seconds: int
    careful: bool = False


@dataclass(slots=True)
class Report:
    """What became of a batch, by outcome, and what is to be sent again."""

    outcomes: Counter[str] = field(default_factory=Counter)
    resend: list[Resend] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)
    """The outcome of each event that failed, by its position."""

    def __add__(self, other: Report) -> Report:
        """Both together."""
        return Report(self.outcomes + other.outcomes, self.resend + other.resend, self.failed | other.failed)


@dataclass(frozen=True, slots=True)
class _Failure:
    event: Event | StoredEvent
    position: int
    error: BaseException
    fingerprint: str
    counted: bool


def settle(
    db: Connection,
    processor: type[Processor],
    work: Work,
    refused: Sequence[Refused],
    runs: Sequence[Run],
    *,
    now: datetime,
    rng: random.Random,
    hold: Hold | None = None,
) -> Report:
    """Write down what became of these events of ``work``, in the caller's transaction on the Events DB.

    Those to ``hold`` wait for the end of their processor's pause, whatever their error says.
    """
    report = report_of(runs)
    finished = [run.event.position for run in runs if isinstance(run.outcome, (Done, Skipped))]
    unrun = [run.event.position for run in runs if run.outcome is None and run.error is None]
    postponed, letters, ends = [], [], []
    held_back = hold.positions if hold is not None else frozenset[int]()
    for failure in _failures(processor, refused, runs):
        outcome, history = _decided(processor, work, failure, now, rng)
        if hold is not None and failure.position in held_back:
            outcome, failure = Snoozed(HELD_WAIT), replace(failure, fingerprint=hold.fingerprint)
        ends.append((failure, outcome, history))
        report.failed[failure.position] = type(outcome).__name__.lower()
        report.outcomes[report.failed[failure.position]] += 1
        if isinstance(outcome, Dead):
            letters.append(_letter(failure, history, now))
        elif isinstance(outcome, (Retry, Snoozed)):
            # A wait that somebody has asked for is no failure, and has no fingerprint.
            alike = failure.fingerprint if isinstance(outcome, Retry) or failure.position in held_back else None
            postponed.append(_postponed(failure, outcome, now, alike))
    # The letters before the attempts, as operators do: in another order the two would wait for each other.
    dead_letters.resolve(db, processor.name, _replayed(work, refused, runs))
    dead_letters.record(db, processor.name, letters, now=now)
    attempts.forget(db, processor.name, (p for p in finished if p is not None and _known(work, runs, p)))
    attempts.forget(db, processor.name, (letter.position for letter in letters))
    attempts.record(db, processor.name, postponed, now=now)
    report.resend = _messages(postponed, now)
    if unrun:
        report.resend.append(Resend(tuple(p for p in unrun if p is not None), 1, careful=True))
    for end in ends:
        _tell(processor, *end)
    return report


def _tell(processor: type[Processor], failure: _Failure, outcome: Outcome, history: History) -> None:
    """One entry for each event that did not end well. What only waits is told to those who want to know it all."""
    level, what = ERROR, "is dead"
    extra = {"processor": processor.name, **facts(failure.event, history.attempts)}
    if isinstance(outcome, (Retry, Snoozed)):
        level, what = (INFO, "failed, and is tried again") if isinstance(outcome, Retry) else (DEBUG, "waits")
        extra["seconds"] = round(outcome.seconds, 1)
    log.log(level, "%s: event %s (%s) %s: %s", processor.name, failure.event.id, failure.event.type, what,
            dead_letters.describe(failure.error), extra=extra)  # fmt: skip


def report_of(runs: Iterable[Run]) -> Report:
    """The outcomes that are decided already."""
    kinds = Counter(type(run.outcome) for run in runs if run.outcome)  # the names of a few, not of each
    return Report(Counter({kind.__name__.lower(): number for kind, number in kinds.items()}))


def ended(runs: Iterable[Run]) -> Iterator[tuple[str, str]]:
    """Type and outcome of each event whose outcome is decided already."""
    return ((run.event.type, type(run.outcome).__name__.lower()) for run in runs if run.outcome)


def failed(refused: Iterable[Refused], runs: Iterable[Run], report: Report) -> Iterator[tuple[str, str]]:
    """The same of each that failed, by what was decided."""
    types = {item.stored.position: item.stored.type for item in refused}
    types |= {run.event.position: run.event.type for run in runs if run.event.position is not None}
    return ((types[position], outcome) for position, outcome in report.failed.items())


def _replayed(work: Work, refused: Iterable[Refused], runs: Iterable[Run]) -> dict[int, Action | None]:
    """The events here that a person has sent again: applied now, found applied before, or not done with."""
    ends: dict[int, Action | None] = {item.stored.position: None for item in refused}
    for run in runs:
        if run.event.position is not None:
            ends[run.event.position] = _end(run.outcome)
    return {position: end for position, end in sorted(ends.items()) if position in work.replayed}


def _end(outcome: Outcome | None) -> Action | None:
    if isinstance(outcome, Done):
        return "applied"
    return "skipped" if isinstance(outcome, Skipped) else None


def _failures(processor: type[Processor], refused: Iterable[Refused], runs: Iterable[Run]) -> Iterator[_Failure]:
    for item in refused:
        row = item.stored
        yield _Failure(row, row.position, item.error, _alike(processor, item.error), counted=False)
    for run in runs:
        if run.error is not None:
            assert run.event.position is not None
            yield _Failure(run.event, run.event.position, run.error, _alike(processor, run.error), run.counted)


def failing(processor: type[Processor], work: Work, runs: Iterable[Run]) -> list[Failing]:
    """The failures that may be the handler's. What a person has sent again speaks for that person's attempt alone."""
    found = []
    for run in runs:
        position = run.event.position
        if run.error is None or position is None or position in work.replayed or not speaks_of_the_handler(run.error):
            continue
        alike, known = _alike(processor, run.error), work.attempts.get(position)
        found.append(Failing(position, alike, dead_letters.reason(run.error), not known or known.fingerprint != alike))
    return found


def held(work: Work) -> Report:
    """The events that were left out, since their processor is paused."""
    return Report(Counter(held=work.held) if work.held else Counter())


def _alike(processor: type[Processor], error: BaseException) -> str:
    return dead_letters.fingerprint(processor.name, error, dead_letters.describe(error))


def _decided(
    processor: type[Processor], work: Work, failure: _Failure, now: datetime, rng: random.Random
) -> tuple[Outcome, History]:
    known = work.attempts.get(failure.position)
    history = History(attempts=work.attempts_of(failure.position) + 1, first_seen=known.first_seen if known else now)
    return decide(failure.error, history, processor, now=now, rng=rng), history


def _letter(failure: _Failure, history: History, now: datetime) -> DeadLetter:
    return DeadLetter(
        position=failure.position,
        event_id=failure.event.id,
        type=failure.event.type,
        error=failure.error,
        attempts=history.attempts,
        first_failed_at=history.first_seen or now,
    )


def _postponed(failure: _Failure, outcome: Retry | Snoozed, now: datetime, alike: str | None) -> Postponed:
    """An attempt that was counted before its run is not counted again, and given back by a snooze."""
    spent = (1 if isinstance(outcome, Retry) else 0) - (1 if failure.counted else 0)
    return Postponed(
        failure.position,
        spent,
        now + timedelta(seconds=outcome.seconds),
        dead_letters.error_class(failure.error),
        dead_letters.reason(failure.error),
        alike,
        survived=failure.counted,
    )


def _known(work: Work, runs: Sequence[Run], position: int) -> bool:
    """Whether there is a row of attempts to delete: the usual event has none, and costs no statement."""
    return position in work.attempts or any(run.counted for run in runs)


def _messages(postponed: Sequence[Postponed], now: datetime) -> list[Resend]:
    """One message per delay; what waits longer than a countdown may is left to the sweep."""
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for item in postponed:
        seconds = (item.next_at - now).total_seconds()
        if seconds <= LONGEST_COUNTDOWN:
            groups[max(1, round(seconds))].append(item.position)
    return [Resend(tuple(sorted(group)), seconds) for seconds, group in sorted(groups.items())]
