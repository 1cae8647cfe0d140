"""Handles a batch that failed outside of its handlers: while it was loaded, claimed or settled.

One of its events may be to blame, and it is not known which. So the batch is halved until that event is alone; then its
attempts are counted as those of any other failure, up to a dead letter.
"""

from __future__ import annotations

from collections.abc import Sequence
from logging import getLogger

from fundlyhub.database import get_engine
from fundlyhub.events.reading import identities
from fundlyhub.observability.redaction import describe
from fundlyhub.processing import attempts
from fundlyhub.processing.load import Work
from fundlyhub.processing.processor import Processor
from fundlyhub.processing.report import Report, Resend, Run
from fundlyhub.processing.settle import write_down

log = getLogger(__name__)


def broken_down(processor: type[Processor], positions: Sequence[int], error: Exception) -> Report:
    """Send the halves of the batch again; of a single event, count the attempt."""
    log.warning("%s: a batch of %d broke down (%s)", processor.name, len(positions), describe(error))
    if len(positions) > 1:
        middle = len(positions) // 2
        halves = (tuple(positions[:middle]), tuple(positions[middle:]))
        return Report(resend=[Resend(half, 1, careful=len(half) == 1) for half in halves])
    return Report() if not positions else _charged(processor, positions[0], error)


def _charged(processor: type[Processor], position: int, error: Exception) -> Report:
    with get_engine("events").begin() as db:
        rows, _ = identities(db, [position])  # its contents may be what cannot be read
        work = Work(attempts=attempts.read(db, processor.name, [position]))
        return write_down(db, processor, work, [Run(row, error) for row in rows])
