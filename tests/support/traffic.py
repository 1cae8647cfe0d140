"""The demo's traffic for tests: business transactions of every kind, committed, and the effects they are to have."""

from __future__ import annotations

import threading

from fundlyhub.database import connect, get_engine
from fundlyhub.demo import business
from fundlyhub.demo.publisher import Publisher, Tally
from fundlyhub.demo.run import TAKERS
from fundlyhub.demo.stream import Stream


def published(events: int) -> tuple[int, Tally]:
    """A run of the demo's stream, committed; its number, and what was committed."""
    with connect("events") as db:
        db.execute(business.DDL)
        row = db.execute(business.NEW_RUN, (events,)).fetchone()
    assert row is not None
    publisher = Publisher(get_engine("events"), TAKERS, threading.Event())
    publisher.run(Stream(events, row[0], events).transactions())
    return int(row[0]), publisher.tally
