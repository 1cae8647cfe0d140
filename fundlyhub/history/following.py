"""Follows the log: new events as they become visible, each once, and none left out.

Positions become visible out of order, so that the newest one says nothing of those below it. What is new is what the
last snapshot did not see, as it is for the relay.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import psycopg

from fundlyhub.database.rows import the_value
from fundlyhub.history.finding import LoggedEvent, Wanted, at
from fundlyhub.relay.cursor import SnapshotCursor

POLL = 0.5
"""Seconds between two looks."""
PAGE = 1_000
"""Events that are read at a time."""


def follow(
    db: psycopg.Connection[Any], wanted: Wanted, stop: threading.Event, *, seen: str | None = None
) -> Iterator[list[LoggedEvent]]:
    """New events that are wanted, in lists of at most a thousand, until ``stop`` is set. Nothing is written.

    ``seen`` is a snapshot (``snapshot``) from which on events are new; by default that of now. ``db`` is an autocommit
    connection to the Events DB.
    """
    cursor = SnapshotCursor(db, "follower", 0, seen or snapshot(db), None)  # without a row of its own
    while not stop.is_set():
        if cursor.open():
            assert cursor.window is not None
            while not stop.is_set() and (rows := cursor.page(PAGE)):
                cursor.window.after = rows[-1][0]
                if found := at(db, [position for position, *_ in rows], wanted):
                    yield found
            cursor.seen, cursor.window = cursor.window.target, None
        else:
            stop.wait(POLL)


def snapshot(db: psycopg.Connection[Any]) -> str:
    """What is visible now."""
    return str(the_value(db.execute("SELECT pg_current_snapshot()::text")))
