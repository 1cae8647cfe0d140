"""Which workers may still have an event in their hands as it was before it was erased, and for how long.

A worker reads an event when its batch begins, and is killed at its hard time limit. So once this time has passed since
the log was overwritten, or since its processor was paused, whatever is not settled yet is read as it is now.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from fundlyhub.processing.processor import Processor
from fundlyhub.processing.routing import matching, wanting
from fundlyhub.relay.unsettled import unsettled
from fundlyhub.settings import Settings

# What the relay has handed out by now; a processor gets what lies above the position from which it is registered.
_HANDED_OUT = """
    SELECT e.position, e.type FROM events.events e, events.relay_cursors c
    WHERE c.name = 'main' AND e.position = ANY (%s)
      AND (pg_visible_in_snapshot(e.xid, c.seen) OR pg_visible_in_snapshot(e.xid, coalesce(c.target, c.seen)))
"""
_REGISTERED = "SELECT name, patterns, from_position FROM events.processors ORDER BY name"
_PAUSED = """
    SELECT processor, extract(epoch FROM clock_timestamp() - min(since))::float8 FROM events.processor_pauses
    WHERE ended_at IS NULL AND (until IS NULL OR until > clock_timestamp()) AND kind = 'by hand' GROUP BY processor
"""


@dataclass(frozen=True, slots=True)
class Wait:
    """A processor that has not settled some of the events, and may have them in its hands for ``seconds`` more."""

    processor: str
    events: int
    seconds: float
    paused: bool

    def __str__(self) -> str:
        """What is waited for, and what to do."""
        about = f"{self.processor} has not settled {self.events:,} of the events"
        if self.paused:
            do = f"it is paused, and a batch from before may run on (`fundlyhub processors resume {self.processor}`)"
        else:
            do = "its workers are at them, or no worker consumes its queue (`fundlyhub waiting`)"
        return f"{about}: {do}; goes on without it in {self.seconds:.0f} s"


class Hands:
    """Looks who has the events at these ``positions`` in hands; they were overwritten when this was made."""

    def __init__(
        self, settings: Settings, processors: Mapping[str, type[Processor]], db: psycopg.Connection[Any],
        positions: Sequence[int],
    ) -> None:  # fmt: skip
        self._settings, self._db, self._positions = settings, db, list(positions)
        # A processor that reads no contents has no words of anybody.
        self._processors = [cls for cls in processors.values() if cls.reads_contents]
        self._began = time.monotonic()

    def waits(self) -> list[Wait]:
        """Who may have some of them in hands now."""
        handed = self._db.execute(_HANDED_OUT, (self._positions,)).fetchall()
        starts = {name: start for name, _, start in self._db.execute(_REGISTERED)}
        paused: dict[str, float] = dict(self._db.execute(_PAUSED).fetchall())
        found = []
        for cls in self._processors:
            since = max(time.monotonic() - self._began, paused.get(cls.name, 0.0))
            seconds = self._settings.time_limits(cls.queue)[1] - since
            if cls.name not in starts or seconds <= 0:
                continue  # the relay has handed nothing to it, or a worker that had one has been killed by now
            wants, start = wanting(cls), starts[cls.name]
            if left := unsettled(self._db, cls, sorted(at for at, kind in handed if at > start and wants(kind))):
                found.append(Wait(cls.name, len(left), seconds, cls.name in paused))
        return found


def unknown(db: psycopg.Connection[Any], processors: Mapping[str, type[Processor]], types: Sequence[str]) -> list[str]:
    """Registered processors of these event types whose code is not here: their tables cannot be erased from here."""
    return [
        name
        for name, patterns, _ in db.execute(_REGISTERED)
        if name not in processors and any(map(matching(patterns), types))
    ]
