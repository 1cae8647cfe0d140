"""The second step of a run: claim events, and have their processor handle them.

Claim and effect commit in one transaction. Where an outside service has the effect, the claim comes last.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar
from uuid import UUID

import psycopg
from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy import Connection

from fundlyhub.database import get_engine, is_concurrency_fault, is_outage
from fundlyhub.errors import ClaimsDropped, Permanent
from fundlyhub.events import Event
from fundlyhub.events.refusal import interruption
from fundlyhub.observability import metrics
from fundlyhub.observability.context import at
from fundlyhub.processing.claims import claim, claimed, dropped
from fundlyhub.processing.load import Work
from fundlyhub.processing.outcome import DONE, SKIPPED
from fundlyhub.processing.pause_watch import Paused, paused_meanwhile
from fundlyhub.processing.processor import NotificationProcessor, Processor
from fundlyhub.processing.report import Run, ended

T = TypeVar("T")

COLLISIONS = 5
"""How often a transaction runs again after a deadlock or a serialization failure."""


def handle(processor: type[Processor], work: Work) -> list[Run]:
    """Run the whole batch in one transaction; if that fails, event by event. Raises an outage of a database."""
    if not work.ready:
        return []
    try:
        return claim_and_handle(processor, work, work.ready)
    except Paused as paused:  # its transaction was rolled back: none of them is applied
        return [Run(event, paused) for event in work.ready]
    except SoftTimeLimitExceeded:
        return [Run(event, None) for event in work.ready]  # one of them hangs: a careful run finds out which
    except Exception as error:
        if is_outage(error):
            raise
        if len(work.ready) == 1:
            return [Run(work.ready[0], error)]
    return _one_by_one(processor, work)


def _one_by_one(processor: type[Processor], work: Work) -> list[Run]:
    """Each event in a transaction of its own. The time limit strikes once: it leaves the rest to a careful run."""
    runs: list[Run] = []
    for event in work.ready:
        if paused_meanwhile():
            return runs + [Run(left, Paused()) for left in work.ready[len(runs) :]]
        try:
            runs += claim_and_handle(processor, work, [event])
        except SoftTimeLimitExceeded:
            return runs + [Run(left, None) for left in work.ready[len(runs) :]]
        except Exception as error:
            if is_outage(error):
                raise
            runs.append(Run(event, error))
    return runs


def claim_and_handle(processor: type[Processor], work: Work, events: Sequence[Event]) -> list[Run]:
    """Claim events and apply them together.

    Raises SoftTimeLimitExceeded whenever the limit struck. In the middle of a statement its connection is of no use any
    more, and the driver's error must not pass for an outage: the event would run for ever.
    """
    try:
        with at(events, work.attempts_of(events[0].position) + 1):
            if issubclass(processor, NotificationProcessor):
                runs = _deliver(processor, work, events)
            else:
                runs = _transact(processor, events)
    except Exception as error:
        limit = interruption(error)
        if limit is None or limit is error:
            raise
        raise limit from None
    metrics.settled(processor.name, ended(runs))
    return runs


def _transact(processor: type[Processor], events: Sequence[Event]) -> list[Run]:
    """Claim and effect in one transaction."""

    def once() -> list[Run]:
        with get_engine(processor.database).begin() as db:
            fresh = claim(db, processor.name, events)
            seconds = apply(processor, fresh, db)
            handled = time.perf_counter()
        metrics.ran(processor.name, seconds, time.perf_counter() - handled)
        return runs_of(events, fresh)

    return again_after_collisions(once)


def apply(processor: type[Processor], events: Sequence[Event], db: Connection) -> float:
    """Have events handled in an open transaction, if there are any; the seconds it took."""
    began = time.perf_counter()
    if events:
        processor().handle_batch(events, db)
        _refuse_hidden_failure(db)
    return time.perf_counter() - began


def again_after_collisions(transaction: Callable[[], T]) -> T:
    """Run a transaction, and run it again when it collides with another one."""
    for collision in range(COLLISIONS):
        try:
            return transaction()
        except Exception as error:
            if not is_concurrency_fault(error):
                raise
            time.sleep(random.uniform(0, 0.01 * 2**collision))
    return transaction()


def _deliver(processor: type[NotificationProcessor], work: Work, events: Sequence[Event]) -> list[Run]:
    """The calls first, without a transaction; then the claims of the events whose messages are all settled."""
    positions = [event.position for event in events if event.position]
    # A transaction costs two round trips more, and psycopg forgets what is prepared with each rollback.
    engine = get_engine(processor.database).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as db:
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
        with engine.connect() as db:
            claim(db, processor.name, done)
    metrics.ran(processor.name, handled - began, time.perf_counter() - handled)
    settled = runs_of([event for event in events if event.id not in errors], done)
    return settled + [Run(event, errors[event.id]) for event in left if event.id in errors]


def _refuse_hidden_failure(db: Connection) -> None:
    """A handler that swallowed a database error would commit nothing, and its events would count as done."""
    driver = db.connection.driver_connection
    if driver is not None and driver.info.transaction_status == psycopg.pq.TransactionStatus.INERROR:
        raise Permanent("the handler swallowed a database error; let it pass, or use a savepoint")


def runs_of(events: Iterable[Event], fresh: Sequence[Event]) -> list[Run]:
    """Events of which the ``fresh`` ones were applied now, and the others before."""
    applied = {event.position for event in fresh}
    return [Run(event, None, outcome=DONE if event.position in applied else SKIPPED) for event in events]
