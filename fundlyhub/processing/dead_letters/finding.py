"""Finds dead letters: lists, groups with the same fault, and the ids that a filter selects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.database.prefixes import the_one, uuid_range
from fundlyhub.processing.dead_letters.model import Letter, State

# What each part of a filter asks. Only those that are given are in a query: the planner sees them alone.
_CONDITIONS = {
    "processor": "d.processor = %(processor)s",
    "type": "d.type = %(type)s",
    "error": "d.error_class = %(error)s",
    "fingerprint": "d.fingerprint = %(fingerprint)s",
    "event_id": "d.event_id = %(event_id)s",
    "position": "d.position = %(position)s",
    "aggregate_type": "d.aggregate_type = %(aggregate_type)s",
    "aggregate_id": "d.aggregate_id = %(aggregate_id)s",
    "older_than": "d.last_failed_at < clock_timestamp() - %(older_than)s",
    "newer_than": "d.last_failed_at >= clock_timestamp() - %(newer_than)s",
    "state": "d.state = %(state)s",
    "before": "(d.last_failed_at, d.id) < (%(before)s, %(before_id)s)",
}
COLUMNS = """
    d.id, d.processor, d.position, d.event_id, d.type, d.error_class, d.error_message, d.fingerprint, d.attempts,
    d.first_failed_at, d.last_failed_at, d.state, d.aggregate_type, d.aggregate_id, d.changed_at,
    EXISTS (SELECT FROM events.corrections c
            WHERE c.processor = d.processor AND c.position = d.position AND c.event_id = d.event_id) AS corrected
"""
"""The columns of a ``Letter``."""
_FIND = f"""
    SELECT {COLUMNS} FROM events.dead_letters d WHERE CONDITIONS
    ORDER BY d.last_failed_at DESC, d.id DESC LIMIT %(limit)s
"""  # noqa: S608  # our own constants
_COUNT = "SELECT count(*) FROM events.dead_letters d WHERE CONDITIONS"
_IDS = "SELECT d.id FROM events.dead_letters d WHERE CONDITIONS ORDER BY d.position, d.processor LIMIT %(limit)s"
_THINGS = """
    SELECT coalesce(aggregate_type, ''), count(DISTINCT aggregate_id) FROM (
        SELECT d.aggregate_type, d.aggregate_id FROM events.dead_letters d WHERE CONDITIONS LIMIT %(most)s) AS counted
    WHERE aggregate_id IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10
"""
_GROUPS = """
    SELECT g.fingerprint, g.letters, s.processor, s.type, s.error_class, s.error_message, g.first, g.last, g.sample,
           g.recent
    FROM (SELECT fingerprint, count(*) AS letters, min(first_failed_at) AS first, max(last_failed_at) AS last,
                 max(id) AS sample,
                 count(*) FILTER (WHERE last_failed_at >= clock_timestamp() - interval '1 hour') AS recent
          FROM (SELECT d.fingerprint, d.id, d.first_failed_at, d.last_failed_at FROM events.dead_letters d
                WHERE CONDITIONS LIMIT %(most)s) AS counted
          GROUP BY fingerprint ORDER BY letters DESC, fingerprint LIMIT %(limit)s) g
    JOIN events.dead_letters s ON s.id = g.sample
    ORDER BY g.letters DESC, g.fingerprint
"""
_EVENTS = """
    SELECT DISTINCT event_id FROM events.dead_letters WHERE event_id BETWEEN %(low)s AND %(high)s LIMIT 2
"""
_IS_FINGERPRINT = "SELECT EXISTS (SELECT FROM events.dead_letters WHERE fingerprint = %(beginning)s)"
_FINGERPRINTS = """
    SELECT DISTINCT fingerprint FROM events.dead_letters WHERE starts_with(fingerprint, %(beginning)s) LIMIT 2
"""
_STATES = "SELECT id, state FROM events.dead_letters WHERE id = ANY (%(ids)s::bigint[])"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which letters; what is None does not count. Ages are those of the last failure."""

    processor: str | None = None
    type: str | None = None
    error: str | None = None
    """The error's class."""
    fingerprint: str | None = None
    event_id: UUID | str | None = None
    """In a query a whole one: ``in_full`` finds the id to its beginning, and the fingerprint."""
    position: int | None = None
    aggregate_type: str | None = None
    aggregate_id: str | None = None
    older_than: timedelta | None = None
    newer_than: timedelta | None = None
    state: State | None = "open"
    before: tuple[datetime, int] | None = None
    """The last failure and the id of the letter that a page ended with: for the next one."""

    def query(self, query: str) -> str:
        """A query of ours with this filter's conditions in it."""
        given = [condition for name, condition in _CONDITIONS.items() if getattr(self, name) is not None]
        return query.replace("CONDITIONS", " AND ".join(given) or "true")

    def values(self, **more: Any) -> dict[str, Any]:
        """The values for its conditions."""
        given = {name: value for name in _CONDITIONS if (value := getattr(self, name)) is not None}
        if self.before is not None:
            given["before"], given["before_id"] = self.before
        return {**given, **more}


@dataclass(frozen=True, slots=True)
class Group:
    """Letters that look alike; ``type``, ``error`` and ``message`` are those of the sample, the newest of them."""

    fingerprint: str
    letters: int
    processor: str
    type: str
    error: str
    message: str
    first_failed_at: datetime
    last_failed_at: datetime
    sample: int
    recent: int = 0
    """Letters that failed within the last hour."""


def in_full(db: Connection, wanted: Filter) -> Filter:
    """The same filter with event id and fingerprint written out, where it has their beginnings.

    Raises WrongUse when a beginning stands for several: a filter also says what is discarded. Where no letter begins
    so, the filter finds none.
    """
    if isinstance(wanted.event_id, str):
        low, high = uuid_range(wanted.event_id)
        found = db.exec_driver_sql(_EVENTS, {"low": low, "high": high}).scalars().all() or [low]
        wanted = replace(wanted, event_id=the_one(found, "event's id", wanted.event_id))
    if wanted.fingerprint is not None and not _is_fingerprint(db, wanted.fingerprint):
        prints = db.exec_driver_sql(_FINGERPRINTS, {"beginning": wanted.fingerprint}).scalars().all()
        wanted = replace(wanted, fingerprint=the_one(prints or [wanted.fingerprint], "fingerprint", wanted.fingerprint))
    return wanted


def _is_fingerprint(db: Connection, text: str) -> bool:
    """Whether it is a whole one, as links have it: then nobody reads all letters that begin so."""
    return bool(db.exec_driver_sql(_IS_FINGERPRINT, {"beginning": text}).scalar_one())


def find(db: Connection, wanted: Filter, *, limit: int) -> list[Letter]:
    """Letters, the newest failure first."""
    return [Letter(*row) for row in db.exec_driver_sql(wanted.query(_FIND), wanted.values(limit=limit))]


def count(db: Connection, wanted: Filter) -> int:
    """How many there are."""
    return int(db.exec_driver_sql(wanted.query(_COUNT), wanted.values()).scalar_one())


def groups(db: Connection, wanted: Filter, *, limit: int, most: int | None = None) -> list[Group]:
    """Letters by fingerprint, the largest group first. ``most`` bounds the letters that are counted, of all groups."""
    return [Group(*row) for row in db.exec_driver_sql(wanted.query(_GROUPS), wanted.values(limit=limit, most=most))]


def things(db: Connection, wanted: Filter, *, most: int) -> list[tuple[str, int]]:
    """How many things of each kind (campaigns, users, …) wait behind letters, of which at most ``most`` are read."""
    rows = db.exec_driver_sql(wanted.query(_THINGS), wanted.values(most=most))
    return [(kind, count) for kind, count in rows]


def ids(db: Connection, wanted: Filter, *, limit: int | None = None) -> list[int]:
    """The ids of all of them, or of the first ones, in the order of their events."""
    return list(db.exec_driver_sql(wanted.query(_IDS), wanted.values(limit=limit)).scalars())


def states(db: Connection, letters: Sequence[int]) -> dict[int, State]:
    """The states of those of these letters that exist."""
    return {id: state for id, state in db.exec_driver_sql(_STATES, {"ids": list(letters)})}  # noqa: C416  # rows
