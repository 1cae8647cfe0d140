"""A careful run, for a batch whose worker died or hung: one event at a time, each settled before the next.

An attempt is counted before it is made, and before the event is read: an event that kills or stops its worker has one
crash more each time, and is dead-lettered after ``max_crashes``. The rest of its batch is applied.
"""

from __future__ import annotations

import time

from celery.exceptions import SoftTimeLimitExceeded

from fundlyhub.database import get_engine, is_outage
from fundlyhub.events import StoredEvent, read
from fundlyhub.events.refusal import interruption
from fundlyhub.observability import metrics
from fundlyhub.processing import attempts
from fundlyhub.processing.claims import claimed
from fundlyhub.processing.handle import claim_and_handle
from fundlyhub.processing.load import Work, checked, with_corrections
from fundlyhub.processing.outcome import SKIPPED, WorkerLost
from fundlyhub.processing.pause_watch import Paused, paused_meanwhile
from fundlyhub.processing.processor import Processor
from fundlyhub.processing.report import Report, Run, ended
from fundlyhub.processing.settle import settle, without_paused


def run_carefully(processor: type[Processor], work: Work, budget: float) -> Report:
    """Run and settle the events that were loaded; after ``budget`` seconds the rest is to be sent again."""
    report = Report()
    deadline = time.monotonic() + budget
    with get_engine(processor.database).connect() as db:
        applied = claimed(db, processor.name, [row.position for row in work.rows])
    for index, row in enumerate(work.rows):
        if index and paused_meanwhile():
            without_paused(processor, work, [Run(left, Paused()) for left in work.rows[index:]])
            break
        if time.monotonic() > deadline:
            return report + settle(processor, work, [Run(left, None) for left in work.rows[index:]])
        if applied.get(row.position) == row.id:
            run = Run(row, None, outcome=SKIPPED)
            metrics.settled(processor.name, ended([run]))
        elif _kills_workers(processor, work, row):
            run = Run(row, WorkerLost("its worker died, or was killed at the time limit, each time that it ran"))
        else:
            run = _counted(processor, work, row)
        if isinstance(run.error, Paused):
            without_paused(processor, work, [run, *(Run(left, Paused()) for left in work.rows[index + 1 :])])
            break
        report += settle(processor, work, [run])
        if work.stopped:
            break  # what is left has no trace, and is sent when the pause is over
        if isinstance(run.error, SoftTimeLimitExceeded):
            deadline = time.monotonic()  # the limit strikes once: nothing guards the events after this one
    return report


def _kills_workers(processor: type[Processor], work: Work, row: StoredEvent) -> bool:
    """Whether this event has no run left, the last of which never ended."""
    known = work.attempts.get(row.position)
    return known is not None and (known.crashes >= processor.max_crashes or known.attempts >= processor.max_attempts)


def _counted(processor: type[Processor], work: Work, row: StoredEvent) -> Run:
    """Count the attempt, then read the event and run it."""
    with get_engine("events").begin() as log:
        attempts.count(log, processor.name, row.position)
    try:
        with get_engine("events").connect() as log:
            whole = read(log, [row.position]) if processor.reads_contents else []
            corrected = with_corrections(log, processor, whole or [row], work.corrected)
            ready, refused = checked(log, processor, corrected)
        return (refused or claim_and_handle(processor, work, ready))[0]._replace(counted=True)
    except Exception as error:
        if (limit := interruption(error)) is None and is_outage(error):
            _give_back(processor, row)
            raise
        return Run(row, limit or error, counted=True)


def _give_back(processor: type[Processor], row: StoredEvent) -> None:
    """Uncount an attempt that ended in an outage. If the log is away too, it stays: better too many than too few."""
    with get_engine("events").begin() as log:
        now = attempts.clock(log)
        attempts.record(log, processor.name, [attempts.Postponed(row.position, -1, now, None, survived=True)], now=now)
