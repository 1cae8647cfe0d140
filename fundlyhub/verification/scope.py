"""The scope of a verification, and its connections to the databases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from fundlyhub.database import connect
from fundlyhub.processing.processor import Processor
from fundlyhub.settings import Branch, Settings

Db = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class Scope:
    """What is compared. ``since`` is a position; ``grace`` and ``wait`` are seconds.

    ``dropped`` is the last position at which claims have been dropped: nothing is known of what lies before it.
    ``archived`` is the last position up to which events may be missing from the log.
    ``depths`` is how many messages wait in each queue, where that is known.
    """

    settings: Settings
    processors: Mapping[str, type[Processor]]
    grace: float
    sample: int | None = None
    since: int = 0
    wait: float = 0.0
    depths: Mapping[str, int] | None = None
    dropped: int = 0
    archived: int = 0

    def patience(self, processor: type[Processor]) -> float:
        """The age in seconds at which an event of a processor is late: its queue is an excuse, but not for ever."""
        waiting = self.depths[processor.queue] if self.depths else 0
        return max(self.grace, self.settings.sweep_patience) if waiting and not self.wait else self.grace


@dataclass(frozen=True, slots=True)
class Places:
    """Connections that commit each statement: to the log, and to each database of effects."""

    events: Db
    effects: Mapping[Branch, Db]

    def of(self, processor: type[Processor]) -> Db:
        """Where a processor has its claims."""
        return self.effects[processor.database]


@contextmanager
def places(scope: Scope) -> Iterator[Places]:
    """Connections to all databases that the scope needs."""
    with ExitStack() as stack:

        def to(branch: Branch) -> Db:
            return stack.enter_context(connect(branch, settings=scope.settings, autocommit=True, session=True))

        branches = sorted({processor.database for processor in scope.processors.values()})
        yield Places(to("events"), {branch: to(branch) for branch in branches})
