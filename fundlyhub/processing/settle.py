"""The last step of a run: each event's outcome is decided and written down, and what is left is sent again."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from logging import DEBUG, ERROR, INFO, getLogger

from sqlalchemy import Connection

from fundlyhub.database import get_engine, is_setup_fault
from fundlyhub.observability import metrics
from fundlyhub.observability.context import facts
from fundlyhub.processing import attempts, dead_letters
from fundlyhub.processing.attempts import Postponed
from fundlyhub.processing.dead_letters import Action, DeadLetter
from fundlyhub.processing.load import Work
from fundlyhub.processing.outcome import DONE, Dead, Done, History, Outcome, Retry, Skipped, Snoozed, decide
from fundlyhub.processing.pause_watch import Paused
from fundlyhub.processing.pauses import Hold, end, notice
from fundlyhub.processing.pauses.bursts import Failing
from fundlyhub.processing.pauses.rules import speaks_of_the_handler
from fundlyhub.processing.processor import Processor
from fundlyhub.processing.report import Report, Resend, Run, name_of, report_of

log = getLogger(__name__)

HELD_WAIT = 3_600.0
"""Seconds until what waits for the end of a pause is due, unless it is brought forward when the pause ends."""
LONGEST_COUNTDOWN = 60.0
"""Seconds; longer waits are rows that the sweep sends when they are due, not messages in a broker."""

PAUSED = "Paused"
"""In place of an error's class, for an event that a pause has stopped."""

_ENDS: Mapping[type, Action] = {Done: "applied", Skipped: "skipped"}
"""How the audit calls the ends of a replay; after any other, the letter is not done with."""


def settle(processor: type[Processor], work: Work, runs: Sequence[Run]) -> Report:
    """Write down what became of these events of ``work``, and end their spans; returns what is to be sent again.

    A probe that succeeds ends the pause of its processor.
    """
    report = _written_down(processor, work, runs)
    if work.pause is not None and any(run.outcome == DONE for run in runs):
        _resume(processor, work)
    if report.failed:
        failed = ((run.event.type, report.failed[run.position]) for run in runs if run.error is not None)
        metrics.settled(processor.name, failed)
    if work.spans is not None:
        for run in runs:
            outcome = name_of(run.outcome) if run.outcome else "not run"
            error = dead_letters.error_class(run.error) if run.error else None
            work.spans.end(run.position, report.failed.get(run.position, outcome), error)
    return report


def without_paused(processor: type[Processor], work: Work, runs: Sequence[Run]) -> list[Run]:
    """These runs without those that a pause has ended. Their events are held back, and charged nothing.

    Those that had waited before are due again at once, so that they go out with the others when the pause is over.
    """
    ended = [run for run in runs if isinstance(run.error, Paused)]
    work.held += len(ended)
    if any(run.counted or run.position in work.attempts for run in ended):
        with get_engine("events").begin() as db:
            now = attempts.clock(db)
            attempts.record(db, processor.name, list(_given_back(work, ended, now)), now=now)
    return [run for run in runs if not isinstance(run.error, Paused)]


def _given_back(work: Work, runs: Iterable[Run], now: datetime) -> Iterator[Postponed]:
    for run in runs:
        known = work.attempts.get(run.position)
        if run.counted or known is not None:
            error = known.error_class if known else None
            yield Postponed(run.position, -1 if run.counted else 0, now, error or PAUSED, survived=run.counted)


def _written_down(processor: type[Processor], work: Work, runs: Sequence[Run]) -> Report:
    if all(run.outcome and not run.counted for run in runs) and not (work.attempts or work.replayed):
        return report_of(runs)  # nothing to write down: the usual case costs no transaction
    hold = notice(processor, _failing(processor, work, runs), sum(run.outcome == DONE for run in runs))
    work.stopped = hold is not None and work.pause is None
    with get_engine("events").begin() as log_db:
        return write_down(log_db, processor, work, runs, hold)


def _resume(processor: type[Processor], work: Work) -> None:
    with get_engine("events").begin() as db:
        if end(db, processor.name, who=dead_letters.WORKER, details="a probe succeeded", kinds=("burst",)):
            log.warning("%s is resumed: a probe succeeded; what was held back is sent", processor.name)
    work.pause = None


def write_down(
    db: Connection, processor: type[Processor], work: Work, runs: Sequence[Run], hold: Hold | None = None
) -> Report:
    """Decide what becomes of these events, and write it down in the caller's transaction on the Events DB.

    Those to ``hold`` wait for the end of their processor's pause, whatever their error says.
    """
    now, rng = attempts.clock(db), random.Random()
    report = report_of(runs)
    finished = [run.position for run in runs if isinstance(run.outcome, (Done, Skipped))]
    unrun = [run.position for run in runs if run.outcome is None and run.error is None]
    postponed, letters, ends = [], [], []
    for run in runs:
        if run.error is None:
            continue
        known = work.attempts.get(run.position)
        history = History(work.attempts_of(run.position) + 1, known.first_seen if known else now)
        outcome = decide(run.error, history, processor, now=now, rng=rng)
        is_failure = isinstance(outcome, Retry) or is_setup_fault(run.error)  # another snooze is none
        alike = _alike(processor, run.error) if is_failure else None
        if hold is not None and run.position in hold.positions:
            outcome, alike = Snoozed(HELD_WAIT), hold.fingerprint
        ends.append((run, outcome, history))
        report.failed[run.position] = name_of(outcome)
        report.outcomes[name_of(outcome)] += 1
        if isinstance(outcome, Dead):
            first = history.first_seen or now
            letters.append(DeadLetter(run.position, run.event.id, run.event.type, run.error, history.attempts, first))
        elif isinstance(outcome, (Retry, Snoozed)):
            postponed.append(_postponed(run, run.error, outcome, now, alike))
    # The letters before the attempts, as operators do: in another order the two would wait for each other.
    dead_letters.resolve(db, processor.name, _replayed(work, runs))
    dead_letters.record(db, processor.name, letters, now=now)
    counted = any(run.counted for run in runs)  # the usual event has no row of attempts, and costs no statement
    attempts.forget(db, processor.name, [at for at in finished if counted or at in work.attempts])
    attempts.forget(db, processor.name, [letter.position for letter in letters])
    attempts.record(db, processor.name, postponed, now=now)
    report.resend = _messages(postponed, now)
    if unrun:
        report.resend.append(Resend(tuple(unrun), 1, careful=True))
    for one in ends:
        _tell(processor, *one)
    return report


def _tell(processor: type[Processor], run: Run, outcome: Outcome, history: History) -> None:
    """Log each event that did not end well; one that only waits at level DEBUG."""
    assert run.error is not None
    level, what = ERROR, "is dead"
    extra = {"processor": processor.name, **facts(run.event, history.attempts)}
    if isinstance(outcome, (Retry, Snoozed)):
        level, what = (INFO, "failed, and is tried again") if isinstance(outcome, Retry) else (DEBUG, "waits")
        extra["seconds"] = round(outcome.seconds, 1)
    log.log(level, "%s: event %s (%s) %s: %s", processor.name, run.event.id, run.event.type, what,
            dead_letters.describe(run.error), extra=extra)  # fmt: skip


def _replayed(work: Work, runs: Iterable[Run]) -> dict[int, Action | None]:
    """The events here that a person has sent again: applied now, found applied before, or not done with."""
    replayed = sorted((run.position, type(run.outcome)) for run in runs if run.position in work.replayed)
    return {position: _ENDS.get(outcome) for position, outcome in replayed}


def _failing(processor: type[Processor], work: Work, runs: Iterable[Run]) -> list[Failing]:
    """The failures that may be the handler's. What a person has sent again speaks for that person's attempt alone."""
    found = []
    for run in runs:
        if run.error is None or run.position in work.replayed or not speaks_of_the_handler(run.error):
            continue
        alike, known = _alike(processor, run.error), work.attempts.get(run.position)
        new = not known or known.fingerprint != alike
        found.append(Failing(run.position, alike, dead_letters.reason(run.error), new))
    return found


def _alike(processor: type[Processor], error: BaseException) -> str:
    return dead_letters.fingerprint(processor.name, error, dead_letters.describe(error))


def _postponed(run: Run, error: BaseException, outcome: Retry | Snoozed, now: datetime, alike: str | None) -> Postponed:
    """An attempt that was counted before its run is not counted again; a snooze gives it back."""
    return Postponed(
        run.position,
        (1 if isinstance(outcome, Retry) else 0) - (1 if run.counted else 0),
        now + timedelta(seconds=outcome.seconds),
        dead_letters.error_class(error),
        dead_letters.reason(error),
        alike,
        survived=run.counted,
    )


def _messages(postponed: Sequence[Postponed], now: datetime) -> list[Resend]:
    """One message per delay; what waits longer than a countdown may is left to the sweep."""
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for item in postponed:
        seconds = (item.next_at - now).total_seconds()
        if seconds <= LONGEST_COUNTDOWN:
            groups[max(1, round(seconds))].append(item.position)
    return [Resend(tuple(sorted(group)), seconds) for seconds, group in sorted(groups.items())]
