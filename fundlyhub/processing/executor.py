"""Runs a batch of positions to its end: load, claim and handle, settle.

Each step has a module of its own: ``load`` reads the events, ``handle`` claims and handles them in one transaction
(``careful`` does so event by event), and ``settle`` writes down what became of them. An outage of a database is no
fault of an event: it is raised as ``Outage``, and the whole batch runs again. Any other error belongs to a single event
and ends in one of the outcomes, wherever it was raised.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from logging import getLogger

from celery.exceptions import SoftTimeLimitExceeded

from fundlyhub.database import is_outage
from fundlyhub.database.faults import DATABASE_ERRORS
from fundlyhub.events.refusal import interrupted_by, interruption, is_to_blame
from fundlyhub.observability import metrics
from fundlyhub.observability.redaction import describe
from fundlyhub.observability.tracing import processing
from fundlyhub.processing.attempts import EndsWait
from fundlyhub.processing.breakdown import broken_down
from fundlyhub.processing.careful import run_carefully
from fundlyhub.processing.handle import handle
from fundlyhub.processing.load import Work, load
from fundlyhub.processing.pause_watch import paused_meanwhile, watching
from fundlyhub.processing.processor import Processor
from fundlyhub.processing.report import Report, Resend
from fundlyhub.processing.settle import settle, without_paused

logger = getLogger(__name__)

_next_afterwards: dict[str, float] = {}
"""When each processor's ``afterwards`` is due, on the monotonic clock."""

interrupted_by(SoftTimeLimitExceeded)


class Outage(Exception):
    """A database failed: no event is to blame, and the batch is to be run again, with this ``ends_wait``."""

    def __init__(self, error: BaseException, ends_wait: EndsWait) -> None:
        self.ends_wait = ends_wait
        super().__init__(type(error).__name__)


def execute(
    processor: type[Processor],
    positions: Sequence[int],
    *,
    careful: bool = False,
    ends_wait: EndsWait = False,
    budget: float = 60.0,
) -> Report:
    """Run one batch to its end and return what is to be sent again.

    Of events that are too large together only the first are run; the others are sent again, in messages of their own.
    ``careful`` is for a batch whose worker died: one event at a time, each attempt counted before it is made.
    ``ends_wait`` runs events although they wait for a retry. ``budget`` is the time in seconds after which a careful
    run hands the rest back.

    Raises Outage when a database fails; what was committed until then is found by the claims. Raises
    SoftTimeLimitExceeded when the limit strikes between two steps.
    """
    metrics.batch(processor.name, len(positions))
    work = Work()
    try:
        work = load(processor, positions, ends_wait=ends_wait, careful=careful)
        with watching(processor.name, on=work.pause is None):
            with processing(processor.name, work.rows if careful else work.ready, work.attempts_of) as work.spans:
                if careful:
                    return run_carefully(processor, work, budget) + work.held_back()
                runs = [*work.refused, *handle(processor, work)]
                report = settle(processor, work, without_paused(processor, work, runs))
            if work.pause is None and not paused_meanwhile():
                call_afterwards(processor, asked=not positions)
        return report + work.held_back() + Report(resend=[Resend(one, 0, ends_wait=ends_wait) for one in work.rest])
    except Exception as error:
        if (limit := interruption(error)) is not None:
            raise limit from None
        if (outage := as_outage(error, work.leased.isoformat() if work.leased else ends_wait)) is not None:
            raise outage from error
        return broken_down(processor, positions, error)


def as_outage(error: Exception, ends_wait: EndsWait = False) -> Outage | None:
    """The error as an outage, if no event is to blame: the server is away, or a table or a right of ours is missing."""
    ours = isinstance(error, DATABASE_ERRORS) and not is_to_blame(error)
    return Outage(error, ends_wait) if is_outage(error) or ours else None


def call_afterwards(processor: type[Processor], *, asked: bool = False) -> None:
    """Do what follows from committed rows, if it is due or ``asked`` for; an error of it fails no event."""
    now = time.monotonic()
    if now < _next_afterwards.get(processor.name, now) and not asked:
        return
    _next_afterwards[processor.name] = now + processor.afterwards_pause
    try:
        processor().afterwards()
    except Exception as error:
        logger.warning("%s: afterwards() failed (%s); the sweep calls it again", processor.name, describe(error))
