"""Runs an event again that a processor is done with, at a person's request."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection, Engine

from fundlyhub.processing import attempts
from fundlyhub.processing.attempts import Postponed
from fundlyhub.processing.claims import claimed, dropped

A_WHILE = timedelta(minutes=1)
"""After which an announced event is run in any case, should what announces it die before it goes on."""

_IN_LOG = "SELECT EXISTS (SELECT FROM events.events WHERE position = %(position)s AND id = %(event_id)s)"
_LETTER = """
    SELECT id FROM events.dead_letters
    WHERE processor = %(processor)s AND position = %(position)s AND state IN ('open', 'replayed')
"""
_UNCLAIM = """
    DELETE FROM processed_events
    WHERE processor = %(processor)s AND position = %(position)s AND event_id = %(event_id)s
"""


def obstacle(db: Connection, log: Connection, processor: str, position: int, event_id: UUID) -> str | None:
    """Why an event cannot be run again, if so; ``db`` is where the processor has its claims."""
    given = {"processor": processor, "position": position, "event_id": event_id}
    if letter := open_letter(log, processor, position):
        return f"its event is dead letter {letter}: see `fundlyhub dlq show {letter}`, and replay that"
    if not log.exec_driver_sql(_IN_LOG, given).scalar():
        return "its event is not in the log: restore it first (`fundlyhub events archives`)"
    if dropped(db, [position]):
        return "the claims of its time have been dropped"
    if claimed(db, processor, [position]).get(position) != event_id:
        return "its event is not done with yet"
    return None


def open_letter(log: Connection, processor: str, position: int) -> int | None:
    """The id of the dead letter that a processor's event is, if it waits for a person or is being replayed."""
    given = {"processor": processor, "position": position}
    found: int | None = log.exec_driver_sql(_LETTER, given).scalar()
    return found


def announce(log: Engine, processor: str, position: int, reason: str, *, after: timedelta = timedelta()) -> None:
    """Have the sweep send an event. One whose claim still stands is found to be done, and nothing changes.

    Announced before its claim is taken away, for ``A_WHILE`` later, and again after that: so no event is left without
    a trace, wherever the caller dies.
    """
    with log.begin() as db:
        now = attempts.clock(db)
        attempts.record(db, processor, [Postponed(position, 0, now + after, "Resend", reason)], now=now)


def unclaim(db: Connection, processor: str, position: int, event_id: UUID) -> bool:
    """Take the claim of an event away, in the caller's transaction; whether it was there."""
    given = {"processor": processor, "position": position, "event_id": event_id}
    return db.exec_driver_sql(_UNCLAIM, given).rowcount > 0
