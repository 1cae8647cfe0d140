"""Runs events through several processors of a queue at once: one read, one transaction, one statement for the claims.

Only what goes well goes this way. An event of which something is known already, or that cannot be read, and a processor
that fails, are left to runs of each processor alone (``executor``), which isolate events, count attempts and write down
what became of them. So this run charges nothing to any event, and what fails holds up no neighbour.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from logging import getLogger

from structlog.contextvars import bound_contextvars

from fundlyhub.database import get_engine
from fundlyhub.events import Event
from fundlyhub.events.reading import identities, read_first
from fundlyhub.events.refusal import interruption
from fundlyhub.observability import metrics
from fundlyhub.observability.context import at
from fundlyhub.observability.redaction import describe
from fundlyhub.observability.tracing import processing
from fundlyhub.processing.claims import claim_for_several
from fundlyhub.processing.executor import as_outage, call_afterwards
from fundlyhub.processing.handle import again_after_collisions, apply, runs_of
from fundlyhub.processing.load import ANY_KNOWN, checked, tell_of_absent
from fundlyhub.processing.pause_watch import watching
from fundlyhub.processing.processor import Processor
from fundlyhub.processing.report import Report, Run, ended, report_of
from fundlyhub.processing.routing import Batch, apart, batches, wanting

log = getLogger(__name__)

ALONE_FOR = 30.0
"""Seconds for which a processor that has failed here runs alone, so that its neighbours' work is not done twice with
each of its failures."""

_failed_at: dict[str, float] = {}

Wanted = dict[type[Processor], list[Event]]
"""The events of a batch for each processor."""


@dataclass(slots=True)
class Shared:
    """What became of a shared batch: its report, and the batches that are to be sent instead of what was not run."""

    report: Report = field(default_factory=Report)
    left: list[Batch] = field(default_factory=list)
    careful: bool = False
    """How they are to be run."""


def execute_shared(processors: Sequence[type[Processor]], positions: Sequence[int], *, careful: bool = False) -> Shared:
    """Run a batch through all of these processors, as far as that goes well.

    ``careful`` is for a batch whose worker died: nothing of it is run here. Raises Outage when a database fails; then
    nothing was committed. Raises SoftTimeLimitExceeded when the limit strikes between two steps.
    """
    try:
        return divided(processors, positions, careful=True) if careful else _together(processors, positions)
    except Exception as error:
        if (limit := interruption(error)) is not None:
            raise limit from None
        if (outage := as_outage(error)) is not None:
            raise outage from error
        raise


def divided(processors: Sequence[type[Processor]], positions: Sequence[int], *, careful: bool = False) -> Shared:
    """The batch for each processor alone; nothing is run."""
    with get_engine("events").connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        rows, _ = identities(db, positions)
    return Shared(left=apart(processors, [(row.position, row.type) for row in rows]), careful=careful)


def _together(processors: Sequence[type[Processor]], positions: Sequence[int]) -> Shared:
    try:
        with watching(*(processor.name for processor in processors)):
            return _execute(processors, positions)
    except Exception as error:
        limit = interruption(error)
        if limit is None and as_outage(error) is not None:
            raise
        log.warning("a shared batch of %d is run by each processor alone (%s)", len(positions), describe(error))
    return divided(processors, positions, careful=limit is not None)  # one of them hangs: careful runs find out which


def _execute(processors: Sequence[type[Processor]], positions: Sequence[int]) -> Shared:
    names = [processor.name for processor in processors]
    with get_engine("events").connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        found = read_first(db, positions, ANY_KNOWN, processors=names)
        tell_of_absent(db, ", ".join(names), positions, found)
        rows = [(row.position, row.type) for row in found.rows]
        if found.answer is not False:
            return Shared(left=apart(processors, rows))
        reader = next((one for one in processors if one.reads_contents), processors[0])
        ready, refused = checked(db, reader, found.rows)
    done = Shared(left=[Batch(tuple(processors), portion) for portion in found.rest])
    done.left += apart(processors, [(run.position, run.event.type) for run in refused])
    unread: list[Event] = []
    if not all(processor.reads_contents for processor in processors):
        readable = {event.position for event in ready}
        unread = [Event.unread(row) for row in found.rows if row.position in readable]
    wanted: Wanted = {}
    for processor in processors:
        given, wants = ready if processor.reads_contents else unread, wanting(processor)
        if events := [event for event in given if wants(event.type)]:
            wanted[processor] = events
    for processor in [one for one in wanted if time.monotonic() - _failed_at.get(one.name, -ALONE_FOR) < ALONE_FOR]:
        _leave(processor, wanted, done)
    _run(wanted, done)
    return done


def _run(wanted: Wanted, done: Shared) -> None:
    """Run all of it in one transaction; again without a processor that fails, until none does."""
    while wanted:
        transaction = _Transaction(wanted)
        try:
            runs = again_after_collisions(transaction)
        except Exception as error:
            culprit = transaction.handling
            if culprit is None or interruption(error) is not None:
                raise
            log.warning("%s: fails in a shared batch (%s); it is run alone", culprit.name, describe(error))
            _failed_at[culprit.name] = time.monotonic()
            _leave(culprit, wanted, done)
            continue
        for processor, its_runs in runs.items():
            metrics.settled(processor.name, ended(its_runs))
            done.report += report_of(its_runs)
            call_afterwards(processor)
        return


def _leave(processor: type[Processor], wanted: Wanted, done: Shared) -> None:
    done.left += batches(processor, [event.position for event in wanted.pop(processor) if event.position])


class _Transaction:
    """One transaction for all processors. ``handling`` is the one whose code is running, or has failed."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self.handling: type[Processor] | None = None

    def __call__(self) -> Mapping[type[Processor], list[Run]]:
        self.handling = None
        seconds: dict[str, float] = {}
        with ExitStack() as traces:
            spans = {
                processor: traces.enter_context(processing(processor.name, events, lambda _: 0))
                for processor, events in self._wanted.items()
            }
            with get_engine(next(iter(self._wanted)).database).begin() as db:
                fresh = claim_for_several(db, {one.name: events for one, events in self._wanted.items()})
                for processor, events in self._wanted.items():
                    self.handling = processor
                    with bound_contextvars(processor=processor.name), at(events, 1):
                        seconds[processor.name] = apply(processor, fresh[processor.name], db)
                self.handling = None
                handled = time.perf_counter()
            committed = time.perf_counter() - handled
            runs = {one: runs_of(events, fresh[one.name]) for one, events in self._wanted.items()}
            for processor, its_runs in runs.items():
                metrics.batch(processor.name, len(its_runs))
                metrics.ran(processor.name, seconds[processor.name], committed)
                if (its_spans := spans[processor]) is not None:
                    for run, (_, outcome) in zip(its_runs, ended(its_runs), strict=True):
                        its_spans.end(run.position, outcome)
        return runs
