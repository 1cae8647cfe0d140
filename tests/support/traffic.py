"""The demo's traffic for tests: business transactions of every kind, committed, and the effects they are to have."""

from __future__ import annotations

import threading

from fundlyhub.database import connect, get_engine
from fundlyhub.demo import business
from fundlyhub.demo.clock import claims
from fundlyhub.demo.publisher import Publisher, Tally
from fundlyhub.demo.run import PROCESSORS, TAKERS
from fundlyhub.demo.stream import Stream
from fundlyhub.settings import get_settings
from fundlyhub.testing.waiting import wait_count


def published(events: int) -> tuple[int, Tally]:
    """A run of the demo's stream, committed; its number, and what was committed."""
    with connect("events") as db:
        db.execute(business.DDL)
        row = db.execute(business.NEW_RUN, (events,)).fetchone()
    assert row is not None
    publisher = Publisher(get_engine("events"), TAKERS, threading.Event())
    publisher.run(Stream(events, row[0], events).transactions())
    return int(row[0]), publisher.tally


class Traffic:
    """Runs of the demo's stream, and the effects that they are to have."""

    def __init__(self, events: int = 0) -> None:
        self.runs: list[tuple[int, Tally]] = [published(events)] if events else []

    @property
    def effects(self) -> int:
        """All that are wanted."""
        return sum(tally.effects for _, tally in self.runs)

    def made(self) -> int:
        """Those by now."""
        return sum(claims(get_settings(), list(PROCESSORS), tally.wanted) for _, tally in self.runs)

    def wait_made(self, effects: int) -> None:
        """Wait for so many of them."""
        wait_count(self.made, effects, what="effects")

    def keep_coming(self, effects: int, events: int) -> None:
        """Publish another run of so many events while fewer effects are left to be made."""
        while self.effects - self.made() < effects:
            self.runs.append(published(events))
