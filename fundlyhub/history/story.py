"""The story of one event: everything that is known of it, in order of time.

Published, relayed, each processor's claim, attempts, dead letters and what operators did with them, messages, and the
events that it caused. Only ids, types, states and counts are read: no payload, no address and no text of an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from sqlalchemy import Connection

from fundlyhub.database import get_engine
from fundlyhub.events.reading import pretty
from fundlyhub.history.finding import LoggedEvent, Page, Wanted, find
from fundlyhub.settings import BRANCHES

MOST = 200
"""Entries of one kind at most: a broadcast sends many messages, and an event may cause many others."""

_RELAYED = """
    SELECT coalesce(bool_or(
        pg_visible_in_snapshot(e.xid, c.seen)
        OR c.target IS NOT NULL AND pg_visible_in_snapshot(e.xid, c.target) AND e.position <= c.after), false)
    FROM events.events e JOIN events.relay_cursors c ON c.name = 'main' WHERE e.position = %(position)s
"""
_PROCESSORS = "SELECT name FROM events.processors ORDER BY name"
_CAUSE = "SELECT position, left(type, 200) FROM events.events WHERE id = %(id)s"
_ATTEMPTS = """
    SELECT processor, attempts, crashes, error_class, first_seen, next_at FROM events.attempts
    WHERE processor = ANY (%(processors)s) AND position = %(position)s ORDER BY processor
"""
_LETTERS = """
    SELECT id, processor, error_class, attempts, state, last_failed_at FROM events.dead_letters
    WHERE processor = ANY (%(processors)s) AND position = %(position)s AND event_id = %(id)s ORDER BY id
"""
_AUDIT = """
    SELECT letter_id, at, who, action FROM events.dead_letter_audit WHERE letter_id = ANY (%(letters)s)
    ORDER BY id LIMIT %(most)s
"""
_CLAIMS = """
    SELECT processor, processed_at FROM processed_events
    WHERE processor = ANY (%(processors)s::text[]) AND position = %(position)s AND event_id = %(id)s
"""
_DROPPED = "SELECT EXISTS (SELECT FROM dropped_claims WHERE %(position)s BETWEEN low AND high)"
_MESSAGES = """
    SELECT id, channel, template, state, created_at, sent_at, changed_at FROM notifications
    WHERE event_id = %(id)s ORDER BY created_at, id LIMIT %(most)s
"""
_CONTENTS = f"""
    SELECT {pretty("payload")}, {pretty("metadata")} FROM events.events WHERE position = %(position)s AND id = %(id)s
"""  # noqa: S608  # our own


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened: when, to whom (the log, the relay, a processor, a message), and what."""

    at: datetime | None
    """None where only the fact is known, not the time."""
    where: str
    what: str
    details: str | None = None


@dataclass(frozen=True, slots=True)
class Story:
    """An event and what became of it. ``caused`` are the events that name it as their cause, as far as was looked."""

    event: LoggedEvent
    entries: tuple[Entry, ...]
    caused: tuple[LoggedEvent, ...]
    looked_up_to: int | None = None
    """The position up to which the log was looked through for caused events; None when that is all of it."""


def story(db: psycopg.Connection[Any], event: LoggedEvent) -> Story:
    """The story of an event (``finding.the_event`` finds it by position or id).

    ``db`` is an autocommit connection to the Events DB; claims and messages are read by the pooled engines.

    ::

        told = story(db, the_event(db, "4711"))
        for entry in told.entries:
            print(entry.at, entry.where, entry.what)
    """
    page = _caused(db, event)
    caused = tuple(page.events)
    entries = [*_in_the_log(db, event), *_in_the_databases(db, event)]
    entries += [Entry(one.recorded_at, "log", f"caused {one.type}", f"position {one.position}") for one in caused]
    order = sorted(entries, key=lambda one: one.at or event.recorded_at)  # stable: what has no time stays in its place
    return Story(event, tuple(order), caused, page.next)


def _in_the_log(db: psycopg.Connection[Any], event: LoggedEvent) -> Iterator[Entry]:
    given = {"position": event.position, "id": event.id, "processors": _processors(db)}
    if event.causation_id is not None:
        cause = db.execute(_CAUSE, {"id": event.causation_id}).fetchone()
        what = f"caused by {cause[1]}" if cause else "caused by an event that is not in the log"
        yield Entry(event.recorded_at, "log", what, f"position {cause[0]}" if cause else str(event.causation_id))
    yield Entry(event.recorded_at, "log", f"published {event.type} {event.version}", f"position {event.position}")
    relayed = db.execute(_RELAYED, given).fetchone()
    yield Entry(None, "relay", "relayed" if relayed and relayed[0] else "not relayed yet")
    letters: dict[int, str] = {}
    for id, processor, error, attempts, state, failed in db.execute(_LETTERS, given):
        letters[id] = processor
        yield Entry(failed, processor, f"dead letter {id}, {state} now", f"{error}, after {_times(attempts)}")
    for letter, at, who, action in db.execute(_AUDIT, {"letters": list(letters), "most": MOST}):
        yield Entry(at, letters[letter], f"dead letter {letter} {action}", f"by {who}")
    for processor, attempts, crashes, error, first, due in db.execute(_ATTEMPTS, given):
        counts = _times(attempts) + (f", {crashes} with a crash" if crashes else "")
        state = f"{error}, due again at" if error else "it is running, until"
        yield Entry(first, processor, "failed or put off", f"{counts}; {state} {due:%Y-%m-%d %H:%M:%S}Z")


def _in_the_databases(db: psycopg.Connection[Any], event: LoggedEvent) -> Iterator[Entry]:
    given = {"position": event.position, "id": event.id, "processors": _processors(db), "most": MOST}
    for branch in BRANCHES:
        with get_engine(branch).connect() as there:
            for processor, at in there.exec_driver_sql(_CLAIMS, given):
                yield Entry(at, processor, "applied")
            if there.exec_driver_sql(_DROPPED, given).scalar_one():
                yield Entry(None, f"{branch} database", "its claims were dropped: all was settled before")
            if branch == "app":
                yield from _messages(there, given)


def _messages(db: Connection, given: dict[str, Any]) -> Iterator[Entry]:
    rows = db.exec_driver_sql(_MESSAGES, given).all()
    for id, channel, template, state, created, sent, changed in rows:
        name = f"{channel} {template}"
        yield Entry(created, name, "planned", f"message {id}")
        if sent is not None:
            yield Entry(sent, name, "sent", f"message {id}")
        if state not in ("queued", "sent"):
            yield Entry(changed, name, state, f"message {id}")
    if len(rows) == MOST:
        yield Entry(None, "messages", f"only the first {MOST} are listed")


def _caused(db: psycopg.Connection[Any], event: LoggedEvent) -> Page:
    """Events that name this one as their cause: they come after it, as a rule soon."""
    return find(db, Wanted(causation_id=event.id, after=event.position), limit=MOST, oldest_first=True)


def _processors(db: psycopg.Connection[Any]) -> Sequence[str]:
    return [name for (name,) in db.execute(_PROCESSORS)]


def _times(number: int) -> str:
    return f"{number} attempt{'' if number == 1 else 's'}"


def contents(db: Connection, event: LoggedEvent) -> tuple[str, str] | None:
    """Payload and metadata of an event as JSON that people read; None if it is not in the log any more.

    They may hold personal data: note first who is shown them (``fundlyhub.database.disclosed``).
    """
    row = db.exec_driver_sql(_CONTENTS, {"position": event.position, "id": event.id}).one_or_none()
    return None if row is None else (row[0], row[1])
