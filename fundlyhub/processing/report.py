"""How the runs of events end, and the report of a batch: the number of events by outcome, and what is sent again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from fundlyhub.events import Event, StoredEvent
from fundlyhub.processing.attempts import EndsWait
from fundlyhub.processing.outcome import Outcome


class Run(NamedTuple):
    """How one event's run ended: an outcome, or an error to decide on, or neither when it did not run.

    ``event`` is a row of the log where it was not read, or could not be. ``counted`` says that the attempt is in the
    table already.
    """

    event: Event | StoredEvent
    error: BaseException | None
    outcome: Outcome | None = None
    counted: bool = False

    @property
    def position(self) -> int:
        """Its place in the log."""
        assert self.event.position is not None
        return self.event.position


@dataclass(frozen=True, slots=True)
class Resend:
    """Positions to be sent again together, after ``seconds`` (a whole number), and how they are to be run."""

    positions: tuple[int, ...]
    seconds: int
    careful: bool = False
    ends_wait: EndsWait = False


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


def name_of(outcome: Outcome) -> str:
    """An outcome as reports and metrics call it."""
    return type(outcome).__name__.lower()


def report_of(runs: Iterable[Run]) -> Report:
    """The outcomes that are decided already."""
    kinds = Counter(type(run.outcome) for run in runs if run.outcome)  # the names of a few, not of each
    return Report(Counter({kind.__name__.lower(): number for kind, number in kinds.items()}))


def ended(runs: Iterable[Run]) -> Iterator[tuple[str, str]]:
    """Type and outcome of each event whose outcome is decided already."""
    return ((run.event.type, name_of(run.outcome)) for run in runs if run.outcome)
