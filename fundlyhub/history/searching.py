"""Finds what an id stands for: an event, a message, a correlation, an aggregate or a trace."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg

from fundlyhub.database import get_engine
from fundlyhub.database.prefixes import uuid_range
from fundlyhub.errors import WrongUse
from fundlyhub.history.finding import COLUMNS, STRETCHES, LoggedEvent, Wanted, at, find

MOST = 20
"""Events of a beginning that are shown at most."""

_NAMED = f"SELECT {COLUMNS} FROM events.events WHERE id BETWEEN %(low)s AND %(high)s ORDER BY id LIMIT %(most)s"  # noqa: S608
_OF_MESSAGES = """
    SELECT DISTINCT position FROM (
        SELECT position FROM notifications WHERE id BETWEEN %(low)s AND %(high)s ORDER BY id LIMIT %(most)s) AS found
"""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an id stands for: events, or a list of the log (``wanted``) that begins with one. ``kind`` says of what."""

    kind: str
    events: Sequence[LoggedEvent] = ()
    wanted: Wanted | None = None


def meaning(db: psycopg.Connection[Any], text: str, *, stretches: int = STRETCHES) -> Meaning:
    """What a text means, the likeliest first; ``kind`` is "nothing" for what is not found.

    What has no index, a trace, is looked for in so many stretches of the newest events (``finding.STRETCH``).

    Event ids and message ids may be their first characters. ``db`` is an autocommit connection to the Events DB.

    ::

        meaning(db, "4711").events[0]          # the event at this position
        meaning(db, "019acf30").kind           # "event", "message", …
    """
    if re.fullmatch(r"\d{1,18}", text, re.ASCII) and (events := at(db, [int(text)])):
        return Meaning("position", events)
    span = _range(text)
    if span is not None:
        given = {"low": span[0], "high": span[1], "most": MOST}
        if found := [LoggedEvent(*row) for row in db.execute(_NAMED, given)]:
            return Meaning("event", found)
        if found := at(db, _positions_of_messages(given)):
            return Meaning("message", found)
    for kind, wanted in _lists(text, span[0] if span and span[0] == span[1] else None):
        if find(db, wanted, limit=1, stretches=stretches).events:
            return Meaning(kind, wanted=wanted)
    return Meaning("nothing")


def _range(text: str) -> tuple[UUID, UUID] | None:
    """The UUIDs that begin so; None for what is no beginning of one."""
    try:
        return uuid_range(text)
    except WrongUse:
        return None


def _lists(text: str, id: UUID | None) -> Iterator[tuple[str, Wanted]]:
    """What is looked up in the table of event_lookup first; for a trace the log is looked through."""
    if id is not None:
        yield "correlation", Wanted(correlation_id=id)
        yield "causation", Wanted(causation_id=id)
    yield "aggregate", Wanted(aggregate_id=text)
    if id is not None and str(id) != text:
        yield "aggregate", Wanted(aggregate_id=str(id))
    if id is not None and "-" not in text:
        yield "trace", Wanted(trace_id=id.hex)


def _positions_of_messages(given: dict[str, Any]) -> Sequence[int]:
    with get_engine("app").connect() as there:
        return there.exec_driver_sql(_OF_MESSAGES, given).scalars().all()
