"""How any processor runs a batch: load, check, claim and handle in one transaction, settle.

An outage of a database is nobody's fault: it is raised as Outage, and the whole batch runs again. All
other errors belong to single events and end in one of the outcomes, wherever they were raised.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Sequence
from logging import getLogger
from uuid import UUID

import psycopg
from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from fundlyhub.database import get_engine, is_concurrency_fault, is_outage
from fundlyhub.errors import ClaimsDropped, Permanent, describe
from fundlyhub.events import Event
from fundlyhub.events.refusal import interrupted_by, interruption, is_to_blame
from fundlyhub.observability import metrics
from fundlyhub.observability.context import at
from fundlyhub.observability.tracing import processing
from fundlyhub.processing import attempts
from fundlyhub.processing.attempts import Due
from fundlyhub.processing.breakdown import broken_down
from fundlyhub.processing.claims import claim, claimed, dropped
from fundlyhub.processing.dead_letters import WORKER, error_class
from fundlyhub.processing.load import Refused, Work, load
from fundlyhub.processing.outcome import DONE, SKIPPED, WorkerLost
from fundlyhub.processing.pauses import end, notice
from fundlyhub.processing.processor import NotificationProcessor, Processor
from fundlyhub.processing.settle import Report, Run, ended, failed, failing, held, report_of, settle

logger = getLogger(__name__)

interrupted_by(SoftTimeLimitExceeded)

COLLISIONS = 5
"""Times that a transaction is run again when a neighbour's got in its way."""


class Outage(Exception):
    """A database failed: no event is to blame, and the batch is to be run again, with this ``due``."""

    def __init__(self, error: BaseException, due: Due) -> None:
        self.due = due
        super().__init__(type(error).__name__)


def execute(
    processor: type[Processor],
    positions: Sequence[int],
    *,
    careful: bool = False,
    due: Due = False,
    budget: float = 60.0,
) -> Report:
    """Run one batch to its end and say what is to be sent again.

    ``careful`` is for a batch whose worker died: one event at a time, each attempt counted before it is
    made. ``due`` says which events that wait for a retry are to be run now. ``budget`` is the time in
    seconds after which a careful run hands the rest back.

    Raises Outage when a database fails; what was committed until then is found by the claims. Raises
    SoftTimeLimitExceeded when the limit strikes between two steps.
    """
    metrics.batch(processor.name, len(positions))
    work = Work()
    try:
        work = load(processor, positions, due=due, careful=careful)
        with processing(processor.name, work.ready, work.attempts_of) as work.spans:
            if careful:
                return _run_carefully(processor, work, budget)
            report = _settled(processor, work, work.refused, _run(processor, work))
        if work.pause is None:
            _afterwards(processor)
        return report + held(work)
    except Exception as error:
        if (limit := interruption(error)) is not None:
            raise limit from None
        if is_outage(error) or _is_the_databases(error):
            raise Outage(error, work.leased.isoformat() if work.leased else due) from error
        return broken_down(processor, positions, error)


def _is_the_databases(error: Exception) -> bool:
    """Whether a statement of ours failed for no event's fault: a table or a right that is missing."""
    return isinstance(error, (DBAPIError, psycopg.Error)) and not is_to_blame(error)


def _afterwards(processor: type[Processor]) -> None:
    """What follows from committed rows; it fails for itself alone."""
    try:
        processor().afterwards()
    except Exception as error:
        logger.warning(
            "%s: what follows its batches failed (%s); the sweep calls again", processor.name, describe(error)
        )


def _settled(processor: type[Processor], work: Work, refused: Sequence[Refused], runs: Sequence[Run]) -> Report:
    report = _written_down(processor, work, refused, runs)
    if work.pause is not None and any(run.outcome == DONE for run in runs):
        _resume(processor, work)
    if report.failed:
        metrics.settled(processor.name, failed(refused, runs, report))
    if work.spans is not None:
        for run in runs:
            outcome = type(run.outcome).__name__.lower() if run.outcome else "not run"
            error = error_class(run.error) if run.error else None
            work.spans.end(run.event.position, report.failed.get(run.event.position or 0, outcome), error)
    return report


def _written_down(processor: type[Processor], work: Work, refused: Sequence[Refused], runs: Sequence[Run]) -> Report:
    known = work.attempts or work.replayed
    if not refused and all(run.outcome and not run.counted for run in runs) and not known:
        return report_of(runs)  # nothing to write down: the usual case costs no transaction
    hold = notice(processor, failing(processor, work, runs), sum(run.outcome == DONE for run in runs))
    work.stopped = hold is not None and work.pause is None
    with get_engine("events").begin() as log:
        return settle(log, processor, work, refused, runs, now=attempts.clock(log), rng=random.Random(), hold=hold)


def _resume(processor: type[Processor], work: Work) -> None:
    """A probe has succeeded."""
    with get_engine("events").begin() as log:
        if end(log, processor.name, who=WORKER, details="a probe succeeded", kinds=("burst",)):
            logger.warning("%s is resumed: a probe succeeded; what was held back is sent", processor.name)
    work.pause = None


def _run(processor: type[Processor], work: Work) -> list[Run]:
    """The whole batch in one transaction; if that fails, event by event."""
    if not work.ready:
        return []
    try:
        return _apply(processor, work, work.ready)
    except SoftTimeLimitExceeded:
        return [Run(event, None) for event in work.ready]  # somebody in there hangs: a careful run finds who
    except Exception as error:
        if is_outage(error):
            raise
        if len(work.ready) == 1:
            return [Run(work.ready[0], error)]
    return _run_one_by_one(processor, work)


def _run_one_by_one(processor: type[Processor], work: Work) -> list[Run]:
    """Each event in a transaction of its own. The time limit strikes once: it leaves the rest to a careful run."""
    runs: list[Run] = []
    for event in work.ready:
        try:
            runs += _apply(processor, work, [event])
        except SoftTimeLimitExceeded:
            return runs + [Run(left, None) for left in work.ready[len(runs) :]]
        except Exception as error:
            if is_outage(error):
                raise
            runs.append(Run(event, error))
    return runs


def _run_carefully(processor: type[Processor], work: Work, budget: float) -> Report:
    """One event at a time, each settled before the next: one that kills the worker is left with a crash more."""
    report = _settled(processor, work, work.refused, [])
    deadline = time.monotonic() + budget
    with get_engine(processor.database).connect() as db:
        applied = claimed(db, processor.name, [event.position for event in work.ready if event.position])
    for index, event in enumerate(work.ready):
        if time.monotonic() > deadline:
            rest = [Run(left, None) for left in work.ready[index:]]
            return report + _settled(processor, work, [], rest) + held(work)
        if event.position is not None and applied.get(event.position) == event.id:
            run = Run(event, None, outcome=SKIPPED)
            metrics.settled(processor.name, ended([run]))
        elif _kills_workers(processor, work, event):
            run = Run(event, WorkerLost("its worker died, or was killed at the time limit, each time that it ran"))
        else:
            run = _counted(processor, work, event)
        report += _settled(processor, work, [], [run])
        if work.stopped:
            break  # what is left has no trace, and is sent when the pause is over
        if isinstance(run.error, SoftTimeLimitExceeded):
            deadline = time.monotonic()  # the limit strikes once: nothing guards the events after this one
    return report + held(work)


def _kills_workers(processor: type[Processor], work: Work, event: Event) -> bool:
    """Whether this event has no run left, the last of which never ended."""
    crashes, spent = work.crashes_of(event.position), work.attempts_of(event.position)
    return crashes >= processor.max_crashes or spent >= processor.max_attempts


def _counted(processor: type[Processor], work: Work, event: Event) -> Run:
    assert event.position is not None
    with get_engine("events").begin() as log:
        attempts.count(log, processor.name, event.position)
    try:
        run = _apply(processor, work, [event])[0]
    except Exception as error:
        if is_outage(error):
            _give_back(processor, event)
            raise
        return Run(event, error, counted=True)
    return run._replace(counted=True)


def _give_back(processor: type[Processor], event: Event) -> None:
    """An outage is not the event's fault. If the log is gone too, the attempt stays: better too many."""
    assert event.position is not None
    with get_engine("events").begin() as log:
        now = attempts.clock(log)
        attempts.record(
            log, processor.name, [attempts.Postponed(event.position, -1, now, None, survived=True)], now=now
        )


def _apply(processor: type[Processor], work: Work, events: Sequence[Event]) -> list[Run]:
    """Claim and effect: in one transaction, or, where an outside service has the effect, the claim last.

    Raises SoftTimeLimitExceeded whenever the limit struck. In the middle of a statement its connection is of no
    use any more, and what the driver says of that must not pass for an outage: the event would be run for ever.
    """
    try:
        with at(events, work.attempts_of(events[0].position) + 1):
            if issubclass(processor, NotificationProcessor):
                runs = _deliver(processor, work, events)
            else:
                runs = _transact(processor, events)
        metrics.settled(processor.name, ended(runs))
        return runs
    except Exception as error:
        limit = interruption(error)
        if limit is None or limit is error:
            raise
        raise limit from None


def _transact(processor: type[Processor], events: Sequence[Event]) -> list[Run]:
    """Claim and effect in one transaction, which is run again when a neighbour's got in its way."""
    for collision in range(COLLISIONS + 1):
        try:
            with get_engine(processor.database).begin() as db:
                fresh = claim(db, processor.name, events)
                began = time.perf_counter()
                if fresh:
                    processor().handle_batch(fresh, db)
                    _refuse_hidden_failure(db)
                handled = time.perf_counter()
            metrics.ran(processor.name, handled - began, time.perf_counter() - handled)
            return _runs(events, fresh)
        except Exception as error:
            if collision == COLLISIONS or not is_concurrency_fault(error):
                raise
            time.sleep(random.uniform(0, 0.01 * 2**collision))
    raise AssertionError("unreachable")


def _deliver(processor: type[NotificationProcessor], work: Work, events: Sequence[Event]) -> list[Run]:
    """The calls first, without a transaction; then the claims of those events that are done with."""
    positions = [event.position for event in events if event.position]
    # A transaction would be rolled back, and psycopg forgets what is prepared with each rollback.
    with get_engine(processor.database).connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        applied = claimed(db, processor.name, positions)
        gone = dropped(db, positions)
    left = [event for event in events if applied.get(event.position or 0) != event.id]
    errors: dict[UUID, Exception] = {event.id: ClaimsDropped() for event in left if event.position in gone}
    fresh = [event for event in left if event.id not in errors]
    began = time.perf_counter()
    if fresh:
        errors |= processor().deliver([work.delivery(event) for event in fresh])
    handled = time.perf_counter()
    done = [event for event in left if event.id not in errors]
    if done:
        with get_engine(processor.database).begin() as db:
            claim(db, processor.name, done)
    metrics.ran(processor.name, handled - began, time.perf_counter() - handled)
    settled = _runs([event for event in events if event.id not in errors], done)
    return settled + [Run(event, errors[event.id]) for event in left if event.id in errors]


def _refuse_hidden_failure(db: Connection) -> None:
    """A handler that swallowed a database error would commit nothing and be taken for done."""
    driver = db.connection.driver_connection
    if driver is not None and driver.info.transaction_status == psycopg.pq.TransactionStatus.INERROR:
        raise Permanent("the handler swallowed a database error; let it pass, or use a savepoint")


def _runs(events: Iterable[Event], fresh: Sequence[Event]) -> list[Run]:
    applied = {event.position for event in fresh}
    return [Run(event, None, outcome=DONE if event.position in applied else SKIPPED) for event in events]
