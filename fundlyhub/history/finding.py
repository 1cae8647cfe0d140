"""Finds events in the log, the newest first, a page at a time; without payloads and metadata.

Positions and ids have indexes. Aggregate, correlation and causation are looked up in a processor's table. By everything
else a stretch of the log is looked through, of limited length: the answer says where to go on. Nothing here makes
publishing slower.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg

from fundlyhub.database.prefixes import the_one, uuid_range
from fundlyhub.database.rows import the_row
from fundlyhub.errors import WrongState, WrongUse
from fundlyhub.events.archived import absence
from fundlyhub.events.catalogue import PAYLOADS
from fundlyhub.events.catalogue.index import ALIASES
from fundlyhub.events.log import LONGEST_TYPE, head, representable
from fundlyhub.history import looking_up
from fundlyhub.processing.processor import TYPE_PATTERN
from fundlyhub.processing.routing import matching, pattern_regex

STRETCH = 20_000
"""Events that one statement looks through."""
STRETCHES = 10
"""Statements of one page at most, unless somebody asks for fewer."""
LOOKED_UP = 2_000
"""Positions that are looked up at a time."""
_NEAR = 100
"""Neighbours that are asked for the time at a position: one of them may be of a long transaction."""

COLUMNS = f"""
    position, id, left(type, {LONGEST_TYPE}) AS type, left(version, 30) AS version,
    left(aggregate_type, 200) AS aggregate_type, left(aggregate_id, 200) AS aggregate_id,
    correlation_id, causation_id, {representable("occurred_at")} AS occurred_at,
    {representable("recorded_at")} AS recorded_at
"""
"""The columns of a ``LoggedEvent``. The role of readers may read them."""
_RAW = """
    position, id, type, version, aggregate_type, aggregate_id, correlation_id, causation_id, occurred_at, recorded_at
"""
_FIND = f"""
    SELECT {COLUMNS} FROM (
        SELECT {_RAW} WITH_METADATA FROM events.events WHERE position < %(before)s AND position > %(after)s
        ORDER BY position DESC LIMIT %(stretch)s
    ) AS stretch WHERE CONDITIONS ORDER BY position DESC LIMIT %(limit)s
"""  # noqa: S608  # our own constants
_END = """
    SELECT min(position), max(position), count(*) FROM (
        SELECT position FROM events.events WHERE position < %(before)s AND position > %(after)s
        ORDER BY position DESC LIMIT %(stretch)s) AS stretch
"""
_AT = f"SELECT {COLUMNS} FROM events.events WHERE position = ANY (%(positions)s) AND CONDITIONS ORDER BY position"  # noqa: S608
_NAMED = f"SELECT {COLUMNS} FROM events.events WHERE id BETWEEN %(low)s AND %(high)s LIMIT 2"  # noqa: S608
_TIMES = """
    SELECT min(recorded_at), max(recorded_at) FROM (
        SELECT recorded_at FROM events.events WHERE position >= %(at)s ORDER BY position LIMIT %(near)s) AS near
"""
_CONDITIONS = {
    "types": "(type = ANY (%(known_types)s) OR type ~ %(types)s)",
    "aggregate_type": "aggregate_type = %(aggregate_type)s",
    "aggregate_id": "aggregate_id = %(aggregate_id)s",
    "correlation_id": "correlation_id = %(correlation_id)s",
    "causation_id": "causation_id = %(causation_id)s",
    "since": "recorded_at >= %(since)s",
    "until": "recorded_at < %(until)s",
    "trace_id": "left(metadata ->> 'traceparent', 60) LIKE '%%-' || %(trace_id)s || '-%%'",
}


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event of the log without payload and metadata, which may be personal data."""

    position: int
    id: UUID
    type: str
    version: str
    aggregate_type: str | None
    aggregate_id: str | None
    correlation_id: UUID | None
    causation_id: UUID | None
    occurred_at: datetime
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events; what is None or empty does not count. Times are those of recording, with a zone.

    ``types`` are types or patterns: ``donation.*``, ``payout.**``. ``since`` is included, ``until`` is not. ``before``
    and ``after`` are positions, which are not included.
    """

    types: Sequence[str] = ()
    aggregate_type: str | None = None
    aggregate_id: str | None = None
    correlation_id: UUID | None = None
    causation_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None
    after: int | None = None
    trace_id: str | None = None
    """The trace that published it: 32 hexadecimal digits. It asks for the right to read metadata."""

    def __post_init__(self) -> None:
        """Raise WrongUse for what is no type or pattern, and no trace id."""
        if self.trace_id is not None and not re.fullmatch("[0-9a-f]{32}", self.trace_id):
            raise WrongUse("a trace id has 32 hexadecimal digits")
        for pattern in self.types:
            if not TYPE_PATTERN.fullmatch(pattern):
                raise WrongUse(f"{pattern!r} is no type or pattern; try 'donation.*' or 'payout.**'")

    def query(self, query: str) -> str:
        """A query of ours with the conditions that are given."""
        query = query.replace("WITH_METADATA", "" if self.trace_id is None else ", metadata")
        return query.replace("CONDITIONS", " AND ".join(_CONDITIONS[name] for name in self._given) or "true")

    def values(self, **more: Any) -> dict[str, Any]:
        """The values for its conditions."""
        values = {name: getattr(self, name) for name in self._given}
        if self.types:
            matches = matching(self.types)
            values["known_types"] = sorted(filter(matches, {*ALIASES, *(kind for kind, _ in PAYLOADS)}))
            values["types"] = f"^({'|'.join(map(pattern_regex, self.types))})$"
        return values | more

    @property
    def _given(self) -> list[str]:
        return [name for name in _CONDITIONS if getattr(self, name) not in (None, (), [])]


@dataclass(frozen=True, slots=True)
class Page:
    """Events, the newest first. ``next`` is the ``before`` of the next page; None when there is no more.

    ``looked_through`` says that the page ends where it does since that much of the log was looked through. Of a page
    with the oldest first, ``next`` is the ``after`` of the next one. ``not_known`` says what could not be looked up.
    """

    events: list[LoggedEvent]
    next: int | None
    looked_through: bool = False
    not_known: str | None = None


def find(
    db: psycopg.Connection[Any], wanted: Wanted, *, limit: int = 50, oldest_first: bool = False,
    stretches: int = STRETCHES,
) -> Page:  # fmt: skip
    """The newest events that are wanted, or the oldest, at most ``limit``. ``db`` is an autocommit connection.

    What has to be looked through is looked through in so many stretches of STRETCH events at most.

    ::

        page = find(db, Wanted(types=["donation.*"]), limit=100)
        while page.next is not None:
            page = find(db, replace(wanted, before=page.next), limit=100)
    """
    return _Search(db, wanted, limit, oldest_first, stretches).page()


class _Search:
    """One page: what the lookup table knows is looked up, the rest of the log is looked through."""

    def __init__(
        self, db: psycopg.Connection[Any], wanted: Wanted, limit: int, oldest_first: bool, stretches: int
    ) -> None:
        self._db, self._wanted, self._limit, self._oldest_first = db, wanted, limit, oldest_first
        self._found: list[LoggedEvent] = []
        self._left = stretches * STRETCH
        self._not_known: str | None = None

    def page(self) -> Page:
        before, after = _bounds(self._db, self._wanted)
        key = looking_up.key(self._wanted)
        known = looking_up.known(self._db) if key is not None else looking_up.Known(0, 0)
        # From the newest on: what the processor has not settled, what it has, and what was before it.
        parts: list[tuple[int, int, int | None]] = [
            (max(after, known.until), before, None),
            (max(after, known.after), min(before, known.until + 1), key),
            (after, min(before, known.after + 1), None),
        ]
        for low, high, by in reversed(parts) if self._oldest_first else parts:
            if high - low > 1:
                if by is None and key is not None:
                    self._not_known = f"event_lookup has not settled positions {low + 1:,} to {high - 1:,} yet"
                end = self._look_up(by, low, high) if by is not None else self._look_through(low, high)
                if end is not None:
                    full = len(self._found) == self._limit
                    return Page(self._found, end, looked_through=not full, not_known=self._not_known)
        return Page(self._found, None, not_known=self._not_known)

    def _look_through(self, after: int, before: int) -> int | None:
        """Look through the log between two positions; where to go on, or None at the end."""
        order = "ASC" if self._oldest_first else "DESC"
        query, end = self._wanted.query(_FIND).replace("DESC", order), _END.replace("DESC", order)
        while self._left > 0:
            where = {"before": before, "after": after, "stretch": STRETCH}
            values = self._wanted.values(**where, limit=self._limit - len(self._found))
            self._found += [LoggedEvent(*row) for row in self._db.execute(query, values)]
            if len(self._found) == self._limit:
                return self._found[-1].position
            first, last, count = the_row(self._db.execute(end.encode(), where))
            self._left -= STRETCH
            if count < STRETCH:
                return None
            before, after = (before, last) if self._oldest_first else (first, after)
        return after if self._oldest_first else before

    def _look_up(self, key: int, after: int, before: int) -> int | None:
        """The same with the positions of the table, of which the log has the last word."""
        while self._left > 0:
            positions = looking_up.positions(key, after, before, LOOKED_UP, oldest_first=self._oldest_first)
            if positions is None:
                self._not_known = "the table event_lookup in the Analytics DB cannot be read now"
                return self._look_through(after, before)
            events = at(self._db, positions, self._wanted)
            for one in events if self._oldest_first else reversed(events):
                self._found.append(one)
                if len(self._found) == self._limit:
                    return one.position
            self._left -= LOOKED_UP
            if len(positions) < LOOKED_UP:
                return None
            before, after = (before, positions[-1]) if self._oldest_first else (positions[-1], after)
        return after if self._oldest_first else before


def at(db: psycopg.Connection[Any], positions: Sequence[int], wanted: Wanted | None = None) -> list[LoggedEvent]:
    """Those of the events at these positions that are wanted, in order."""
    wanted = wanted or Wanted()
    rows = db.execute(wanted.query(_AT), wanted.values(positions=list(positions)))
    return [LoggedEvent(*row) for row in rows]


def the_event(db: psycopg.Connection[Any], name: str) -> LoggedEvent:
    """The event of this position, or of this id or beginning of one.

    Raises WrongUse for what is neither or stands for several, and WrongState for a position that the log does not have.
    """
    if re.fullmatch(r"\d{1,18}", name, re.ASCII):
        found = at(db, [int(name)])
        if found:
            return found[0]
        if len(name) < 8:  # else it may be the beginning of an id
            raise WrongState(f"the event at position {name} {absence(db, int(name))}")
    low, high = uuid_range(name)
    return the_one([LoggedEvent(*row) for row in db.execute(_NAMED, {"low": low, "high": high})], "event's id", name)


def _bounds(db: psycopg.Connection[Any], wanted: Wanted) -> tuple[int, int]:
    """Positions between which all of them lie, both not included."""
    newest = head(db)
    before = newest + 1 if wanted.before is None else min(wanted.before, newest + 1)
    after = wanted.after or 0
    if wanted.until is not None:
        before = min(before, _first(db, wanted.until, newest, 0) + _NEAR)
    if wanted.since is not None:
        after = max(after, _first(db, wanted.since, newest, 1) - 1)
    return before, after


def _first(db: psycopg.Connection[Any], moment: datetime, newest: int, which: int) -> int:
    """About the first position that was recorded at a time: its least or greatest neighbour's time is as late."""
    low, high = 0, newest + 1
    while high - low > 1:
        middle = (low + high) // 2
        time = the_row(db.execute(_TIMES, {"at": middle, "near": _NEAR}))[which]
        if time is None or time >= moment:
            high = middle
        else:
            low = middle
    return high
