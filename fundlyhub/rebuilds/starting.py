"""Begins, shows and ends rebuilds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from uuid import uuid4

import psycopg
from psycopg.errors import LockNotAvailable, UniqueViolation

from fundlyhub.database import connect
from fundlyhub.database.audited import named
from fundlyhub.database.rebuilt import drop
from fundlyhub.errors import Unavailable, WrongState, WrongUse
from fundlyhub.events.log import head
from fundlyhub.processing.processor import Processor
from fundlyhub.rebuilds import refusals, schema
from fundlyhub.rebuilds.model import Rebuild, State, Status, branches, kept, newest, opened, status_of
from fundlyhub.settings import Settings

LANES = 16
"""Ranges that are filled at once at most: a page of one waits for none of another."""

_START = """
    INSERT INTO {live}.rebuilds (processor, schema_name, tables, up_to, rate, who) VALUES (%s, %s, %s, %s, %s, %s)
    RETURNING id
"""
_RANGE = "INSERT INTO {live}.rebuild_ranges (rebuild_id, low, high, after) VALUES (%s, %s, %s, %s)"

Processors = Mapping[str, type[Processor]]


def start(settings: Settings, processors: Processors, name: str, *, who: str, rate: int | None = None) -> Rebuild:
    """Begin to rebuild a processor's tables beside the live ones; workers of the queue ``rebuilds`` fill them.

    ``rate`` limits it to so many events per second. Raises WrongUse or WrongState, with the reason, where that cannot
    be; EventsArchived names the files to restore.

    ::

        from fundlyhub import rebuilds

        rebuilds.start(settings, processors, "campaign_stats", who="ann", rate=5_000)
    """
    cls, who = found(processors, name), named(who)
    tables = refusals.exchanged_tables(cls, processors)
    if rate is not None and rate < 1:
        raise WrongUse("rate: must be at least 1 event per second")
    with (
        connect("events", settings=settings, autocommit=True) as log,
        connect(cls.database, settings=settings, autocommit=True) as db,
    ):
        refusals.refuse_archived(log, cls)
        refusals.refuse_dropped(db, cls.database)
        refusals.refuse_obstacles(db, cls.database, tables)
        up_to, called = head(log), f"rebuild_{uuid4().hex[:12]}"
        try:
            with db.transaction():
                sql = _START.format(live=cls.database)
                (number,) = db.execute(sql, (name, called, list(tables), up_to, rate, who)).fetchone() or (0,)
                schema.make(db, cls.database, called, tables)
                for low, high in lanes(up_to, cls.batch_size):
                    db.execute(_RANGE.format(live=cls.database), (number, low, high, low - 1))
        except UniqueViolation:
            raise WrongState(f"{name} is being rebuilt already: see `fundlyhub rebuild status {name}`") from None
        one = newest(db, cls.database, name)
    assert one is not None
    return one


def lanes(up_to: int, batch: int) -> Iterator[tuple[int, int]]:
    """Ranges from 1 to a position, as many as are worth it. Pure.

    >>> list(lanes(10, 5))
    [(1, 5), (6, 10)]
    """
    number = max(1, min(LANES, up_to // batch))
    size = -(-up_to // number) if up_to else 1
    for low in range(1, up_to + 1, size):
        yield low, min(up_to, low + size - 1)


def status(settings: Settings, processors: Processors, name: str) -> Status:
    """How far the newest rebuild of a processor is. Raises WrongState where there is none."""
    cls = found(processors, name)
    with connect(cls.database, settings=settings, autocommit=True) as db:
        one = newest(db, cls.database, name, ("running", "swapped", "undone", "dropped"))
        if one is None:
            raise WrongState(f"{name} has never been rebuilt: `fundlyhub rebuild start {name}`")
        return status_of(db, one)


def listed(settings: Settings, processors: Processors, *, dropped: bool = False, limit: int = 1_000) -> list[Rebuild]:
    """All rebuilds whose schema is there, the newest of each database first; with ``dropped`` those of before too.

    ``limit`` is how many of one database are listed at most.
    """
    found: list[Rebuild] = []
    for branch, db in opened(settings, branches(processors)):
        found += kept(db, branch, limit=limit, dropped=dropped)
    return found


def cancel(settings: Settings, processors: Processors, name: str, *, who: str) -> Rebuild:
    """End a rebuild that was not put in place, and drop its schema. Raises WrongState where there is none."""
    return _drop(
        settings, found(processors, name), ("running",), who, f"{name} is not being rebuilt: `fundlyhub rebuild list`"
    )


def prune(settings: Settings, processors: Processors, name: str, *, who: str) -> Rebuild:
    """Drop what an exchange or its undoing has left of a processor: then there is nothing to go back to."""
    return _drop(settings, found(processors, name), ("swapped", "undone"), who, f"no former tables of {name} are kept")


def _drop(settings: Settings, cls: type[Processor], states: tuple[State, ...], who: str, otherwise: str) -> Rebuild:
    with connect(cls.database, settings=settings, autocommit=True) as db:
        one = newest(db, cls.database, cls.name, states)
        if one is None or not dropped(db, one, who, states):
            raise WrongState(otherwise)
    return one


def dropped(db: psycopg.Connection[object], one: Rebuild, who: str, states: tuple[State, ...]) -> bool:
    """End a rebuild that is still in one of these states, and drop its schema; whether it was."""
    try:
        return drop(db, one.branch, one.id, who=named(who), states=states)
    except LockNotAvailable:
        raise Unavailable("its tables are in use, by a long query or an exchange: try again") from None


def found(processors: Processors, name: str) -> type[Processor]:
    """The processor of a name. Raises WrongUse."""
    if name not in processors:
        raise WrongUse(f"no such processor: {name}; there are {', '.join(processors)}")
    return processors[name]
