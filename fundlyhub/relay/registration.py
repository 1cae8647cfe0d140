"""Registers processors in the Events DB: what each wants, and from which position on."""

from __future__ import annotations

from collections.abc import Mapping
from logging import getLogger
from typing import Any

import psycopg
from sqlalchemy.exc import DBAPIError

from fundlyhub.events.archived import away
from fundlyhub.processing.claims import last_dropped
from fundlyhub.processing.processor import Processor
from fundlyhub.relay.cursor import first_unseen
from fundlyhub.retention.archives.wanted import missing, refuse_a_part

log = getLogger(__name__)

# The first processors of a log get all of it. Later ones get what was published before them too, by way of
# the sweep, unless they say no: old news must not be mailed. One that takes event types over from another begins
# where the other's sweep stands: what lies before is settled. Where claims have been dropped no
# event can be delivered, since it could not be claimed. Where events are archived the rest does not pass for all.
_REGISTER = """
    INSERT INTO events.processors AS known (name, patterns, from_position, database)
    VALUES (%(name)s, %(patterns)s, coalesce(%(after)s::bigint, (SELECT max(position) FROM events.events), 0),
            %(database)s)
    ON CONFLICT (name) DO UPDATE SET patterns = excluded.patterns, database = excluded.database
        WHERE (known.patterns, known.database) IS DISTINCT FROM (excluded.patterns, excluded.database)
"""
_KNOWN = "SELECT name, from_position FROM events.processors"


def register(db: psycopg.Connection[Any], processors: Mapping[str, type[Processor]]) -> None:
    """Enter the processors that this code has; one that it has no more stays, and is left alone.

    Raises EventsArchived when a new one wants events that are archived.
    """
    with db.transaction():
        db.execute("LOCK TABLE events.processors IN SHARE ROW EXCLUSIVE MODE")
        begins = beginnings(db, processors)
        for name, dropped in begins.items():
            if dropped:
                log.warning("%s begins after position %d: up to there claims have been dropped", name, dropped)
        begins |= _successions(db, processors)
        for name, processor in processors.items():
            given = {"name": name, "patterns": list(processor.patterns()), "database": processor.database}
            db.execute(_REGISTER, {**given, "after": begins.get(name)})


def beginnings(db: psycopg.Connection[Any], processors: Mapping[str, type[Processor]]) -> dict[str, int]:
    """The positions after which new processors begin that want what was published before them.

    Raises EventsArchived when some of that is archived.
    """
    known, archives = starts(db), away(db)
    wanting = {
        name: processor
        for name, processor in processors.items()
        if name not in known and (not known or processor.history)
    }
    begins = {name: _dropped(processor) for name, processor in wanting.items()}
    for name, processor in wanting.items():
        if processor.all_or_nothing:
            refuse_a_part(archives, processor, begins[name])
        elif gone := missing(archives, processor, begins[name]):
            begins[name] = max(one.high for one in gone)
    return begins


def _successions(db: psycopg.Connection[Any], processors: Mapping[str, type[Processor]]) -> dict[str, int]:
    """The positions after which new processors begin that take event types over from one that is known."""
    known = starts(db)
    begins = {}
    for name, processor in processors.items():
        former = processor.takes_over
        if name not in known and former in known and (unseen := first_unseen(db, f"sweep:{former}")) is not None:
            begins[name] = max(known[former], unseen - 1)
    return begins


def _dropped(processor: type[Processor]) -> int:
    """Where a new processor must begin."""
    try:
        return last_dropped([processor.database])
    except DBAPIError as error:  # the relay waits for a database that is away, and knows the driver's own errors
        raise error.orig if isinstance(error.orig, psycopg.Error) else error from None


def starts(db: psycopg.Connection[Any]) -> dict[str, int]:
    """The position after which each processor wants events."""
    return dict(db.execute(_KNOWN).fetchall())
