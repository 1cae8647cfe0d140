"""Finds the positions at which a claim may still come, so that an exchange has to look at no others under its lock.

These are the positions of events that the processor wants and has not claimed, those that no transaction has used yet
or visibly, and all beyond the head of the log. At any other position a claim is there already, or will never be.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import psycopg
from sqlalchemy import Connection

from fundlyhub.events.log import LONGEST_TYPE
from fundlyhub.processing.processor import Processor
from fundlyhub.processing.routing import wanting
from fundlyhub.settings import Branch
from fundlyhub.verification.tables.replay import LAST

PAGE = 20_000
"""Rows of the log that are looked at together."""

_PAGE = f"""
    SELECT position, left(type, {LONGEST_TYPE + 1}) FROM events.events WHERE position > %(after)s
    ORDER BY position LIMIT {PAGE}
"""  # noqa: S608 - our own constants
_CLAIMED = """
    SELECT position FROM {live}.processed_events
    WHERE processor = %s AND position > %s AND position <= %s ORDER BY position
"""


Ranges = list[tuple[int, int]]
"""Ranges of positions, both ends included."""


def open_ranges(db: psycopg.Connection[Any], events: Connection, live: Branch, processor: type[Processor]) -> Ranges:
    """Ranges of positions, both ends included, apart from each other and in order; the last one has no end.

    What is claimed before this is called, and no other, may lie outside of them.
    """
    settled = _settled(db, events, live, processor)
    return list(gaps(settled))


def gaps(taken: Iterable[int]) -> Iterator[tuple[int, int]]:
    """The ranges between positions that come in order, from 1 on. Pure.

    >>> list(gaps([1, 2, 5]))[:-1]
    [(3, 4)]
    """
    low = 1
    for position in taken:
        if position > low:
            yield low, position - 1
        low = position + 1
    yield low, LAST


def _settled(
    db: psycopg.Connection[Any], events: Connection, live: Branch, processor: type[Processor]
) -> Iterator[int]:
    """Positions that have a claim, or whose event the processor does not want."""
    wants, after = wanting(processor), 0
    while rows := events.exec_driver_sql(_PAGE, {"after": after}).all():
        last = rows[-1].position
        claimed = {at for (at,) in db.execute(_CLAIMED.format(live=live), (processor.name, after, last))}
        yield from (position for position, kind in rows if position in claimed or not wants(kind))
        after = last
