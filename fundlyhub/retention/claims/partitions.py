"""The partitions of one database's claims: lists them, and makes those that are missing.

A claim never waits for a partition to be made: what has none goes into the default partition, and is moved when the
keeper makes one. So a jump of positions in the log causes no error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import psycopg

from fundlyhub.errors import WrongState

AHEAD = 2
"""Partitions beyond that of the log's head that are there before they are needed."""
STRAYS = 20
"""Partitions that are made in one round for rows of the default partition, at most."""
PATIENCE = "1s"
"""How long a change waits for a lock. Claims that come meanwhile wait behind it."""
_LOCK = 0x636C6D  # "clm": one change at a time in each database

_TREE = """
    SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'processed_events'::regclass AND c.relname <> 'processed_events_default'
"""
_DROPPED = "SELECT low, high FROM dropped_claims ORDER BY low"
_STRAYS = """
    SELECT DISTINCT position / %(size)s FROM processed_events_default ORDER BY 1 LIMIT %(limit)s
"""
_BOUNDS = re.compile(r"FOR VALUES FROM \((?:MINVALUE|'(?P<low>\d+)')\) TO \('(?P<end>\d+)'\)")

_MAKE = "SELECT make_claims_partition(%s, %s)"


class Range(NamedTuple):
    """Positions from ``low`` to ``high``, both of them included."""

    low: int
    high: int


class Partition(NamedTuple):
    """A partition, and what it takes."""

    name: str
    range: Range


def existing(db: psycopg.Connection[Any]) -> list[Partition]:
    """All partitions but the default one, in order. ``db`` is a connection to the database of the claims."""
    found = []
    for name, bounds in db.execute(_TREE).fetchall():
        if bounds is None:  # it was dropped while this looked: the server waited for that, and then found nothing
            continue
        match = _BOUNDS.fullmatch(bounds)
        if match is None:
            raise WrongState(f"the partition {name} has bounds that are not ours: {bounds}")
        found.append(Partition(name, Range(int(match["low"] or 0), int(match["end"]) - 1)))
    return sorted(found, key=lambda one: one.range)


def dropped_ranges(db: psycopg.Connection[Any]) -> list[Range]:
    """The ranges that were dropped, in order."""
    return [Range(low, high) for low, high in db.execute(_DROPPED)]


def wanted(taken: Iterable[Range], numbers: Iterable[int], size: int) -> list[Range]:
    """Ranges for the partitions of these numbers (position // size), without what is taken. Pure."""
    found = []
    for number in sorted(set(numbers)):
        free = [Range(number * size, (number + 1) * size - 1)]
        for one in taken:
            free = [piece for part in free for piece in _without(part, one)]
        found += free
    return found


def _without(part: Range, taken: Range) -> list[Range]:
    pieces = (Range(part.low, min(part.high, taken.low - 1)), Range(max(part.low, taken.high + 1), part.high))
    return list(dict.fromkeys(piece for piece in pieces if piece.low <= piece.high))


def make_ahead(db: psycopg.Connection[Any], head: int, size: int) -> list[Range]:
    """Make the partitions that are missing for what is claimed now and next; those that were made.

    ``db`` is an autocommit connection. Each partition is a transaction of its own. A psycopg.Error tells that it
    could not be made now: a lock was not to be had, or our role may not make tables; nothing is lost by that.
    """
    strays = [int(number) for (number,) in db.execute(_STRAYS, {"size": size, "limit": STRAYS})]
    ahead = range((head + 1) // size, (head + 1) // size + AHEAD + 1)
    made = []
    for one in wanted(_taken(db), [*strays, *ahead], size):
        with db.transaction():
            if not alone(db) or wanted(_taken(db), [one.low // size], size).count(one) == 0:
                continue  # another process makes it, or has made it
            db.execute(_MAKE, one)
        made.append(one)
    return made


def alone(db: psycopg.Connection[Any]) -> bool:
    """Whether this transaction may change partitions: one at a time may. Its locks are waited for a moment only."""
    db.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'")
    db.execute("SET LOCAL statement_timeout = 0")
    row = db.execute("SELECT pg_try_advisory_xact_lock(%s, hashtext(current_schema()))", (_LOCK,)).fetchone()
    return bool(row and row[0])


def _taken(db: psycopg.Connection[Any]) -> Sequence[Range]:
    return [*(one.range for one in existing(db)), *dropped_ranges(db)]
