"""Whether live events come while tables are rebuilt: then what fills them gives way.

A rebuild can use every processor of a machine, its database's among them, and each page is some tens of milliseconds
in which a live event waits. Nothing is lost by resting: a rebuild has time, and live events have not.
"""

from __future__ import annotations

import time
from functools import cache

from sqlalchemy import Connection, text

from fundlyhub.settings import Branch

SMALL = 250
"""Claims of a page while live events come: a few milliseconds of work."""
QUIET = 1.0
"""Seconds without a new event or a new claim after which nobody waits."""
GLANCE = 0.02
"""Seconds between the first two looks of a process that has not looked for a while."""

_HEAD = text("SELECT max(position) FROM events.events")
_CLAIMED = "SELECT max(position) FROM {live}.processed_events WHERE processor = :processor"


class Traffic:
    """The head of the log and the processor's newest claim, as this process has seen them move."""

    def __init__(self, processor: str, live: Branch) -> None:
        self._name, self._claimed = processor, text(_CLAIMED.format(live=live))
        self._seen: tuple[int | None, int | None] | None = None
        self._looked = self._moved = float("-inf")

    def flows(self, db: Connection, log: Connection) -> bool:
        """Whether something has moved a moment ago. ``db`` is out of a transaction."""
        if time.monotonic() - self._looked > QUIET:
            self._look(db, log)
            self._moved = float("-inf")
            time.sleep(GLANCE)
        self._look(db, log)
        return self._looked - self._moved < QUIET

    def _look(self, db: Connection, log: Connection) -> None:
        with db.begin():
            seen = log.execute(_HEAD).scalar(), db.execute(self._claimed, {"processor": self._name}).scalar()
        self._looked = time.monotonic()
        if seen != self._seen:
            self._seen, self._moved = seen, self._looked


@cache
def traffic_of(processor: str, live: Branch) -> Traffic:
    """What this process has seen."""
    return Traffic(processor, live)
