"""Decides how far the log may be archived, and what holds the rest back.

An archive is always the beginning of the log, so that one position says from where on the log is whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import psycopg

from fundlyhub.database.rows import the_value
from fundlyhub.events.log import head
from fundlyhub.retention import log_marks

_FIRST = "SELECT coalesce(min(position), 0) FROM events.events"
# Every reader of the log with a cursor, and the last mark up to which it has seen all events there will ever be. A
# processor counts by its sweep, which passes what has left a trace.
_PASSED = """
    SELECT reader, (SELECT coalesce(max(m.position), 0) FROM events.log_marks m WHERE m.xid < pg_snapshot_xmin(c.seen))
    FROM (SELECT name AS reader, 'sweep:' || name AS cursor FROM events.processors
          UNION ALL SELECT 'the relay', 'main'
          UNION ALL SELECT 'the cursor ' || name, name FROM events.relay_cursors
                    WHERE name <> 'main' AND name NOT LIKE 'sweep:%%') readers
    LEFT JOIN events.relay_cursors c ON c.name = readers.cursor
    ORDER BY 2, 1
"""
_REGISTERED = "SELECT count(*) FROM events.processors"
# What waits, rests, or is under way again, by its first position. An open entry of the quarantine is tied to each
# event whose id it names: it may be in conflict with that event, which could not be found out any more.
_HELD = """
    SELECT min(position), count(*), what FROM (
        SELECT position, 'open dead letters of ' || processor AS what FROM events.dead_letters
        WHERE position BETWEEN %(low)s AND %(high)s AND state IN ('open', 'replayed')
        UNION ALL
        SELECT position, 'attempts of ' || processor FROM events.attempts WHERE position BETWEEN %(low)s AND %(high)s
        UNION ALL
        SELECT e.position, 'events that open entries of the quarantine name' FROM (
            SELECT DISTINCT lower(found[1])::uuid AS id FROM events.quarantine q,
                regexp_matches(q.fields::text, %(uuid)s, 'gi') AS found WHERE q.state = 'open') named
        JOIN events.events e USING (id) WHERE e.position BETWEEN %(low)s AND %(high)s) held
    GROUP BY what ORDER BY 1, what
"""
_UUID = "([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"


class Limit(NamedTuple):
    """Events above ``position`` stay in the log, and why."""

    position: int
    why: str

    def __str__(self) -> str:
        return f"what is above position {self.position:,} stays: {self.why}"


class Decision(NamedTuple):
    """What may be archived: from ``low`` to ``high``, nothing when that is below; and what holds back the rest."""

    low: int
    high: int
    kept_by: tuple[Limit, ...]


def decide(low: int, wanted: int, limits: Sequence[Limit]) -> Decision:
    """How far to go when all up to ``wanted`` is asked for. Pure."""
    kept_by = tuple(sorted(one for one in limits if one.position < wanted))
    return Decision(low, min([wanted, *(one.position for one in kept_by)]), kept_by)


def judge(db: psycopg.Connection[Any], wanted: int, horizon: timedelta) -> Decision:
    """How far the log may be archived now. ``horizon`` is how old an event may be when it is run."""
    low = first(db)
    known = [Limit(head(db) - 1, "the newest event is never archived"), *_readers(db)]
    old = log_marks.older_than(db, horizon)
    days = horizon / timedelta(days=1)
    known.append(Limit(old, f"younger than {days:.2f} days, so that it may still be on its way"))
    high = decide(low, wanted, known).high
    return decide(low, wanted, [*known, *held(db, low, high)])


def first(db: psycopg.Connection[Any]) -> int:
    """The first position that the log has; 0 when it is empty."""
    return int(the_value(db.execute(_FIRST)))


def held(db: psycopg.Connection[Any], low: int, high: int) -> Iterator[Limit]:
    """What is open, waits or is under way between two positions."""
    for position, count, what in db.execute(_HELD, {"low": low, "high": high, "uuid": _UUID}):
        yield Limit(position - 1, f"{count:,} {what}, the first at position {position:,}")


def _readers(db: psycopg.Connection[Any]) -> Iterator[Limit]:
    if not the_value(db.execute(_REGISTERED)):
        yield Limit(0, "no processor is registered")
    for reader, position in db.execute(_PASSED):
        yield Limit(position, f"not passed by {reader}")
