"""Reads the log page by page along its primary key, or some of its events at random."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from uuid import UUID

from fundlyhub.verification.scope import Db

PAGE = 5_000
"""Events that are compared at a time."""

_PAGE = """
    SELECT position, left(type, 201), id FROM events.events WHERE position > %(after)s AND position <= %(head)s
    ORDER BY position LIMIT %(limit)s
"""
_AT = """
    SELECT position, left(type, 201), id FROM events.events
    WHERE position = ANY (%(positions)s::bigint[]) ORDER BY position
"""


class Logged(NamedTuple):
    """An event, as far as traces are concerned."""

    position: int
    type: str
    id: UUID


class Page(NamedTuple):
    """Events of the log. When ``whole``, they are all that lie above ``after`` and up to ``until``."""

    rows: Sequence[Logged]
    after: int
    until: int
    whole: bool = True


def at(db: Db, positions: Sequence[int]) -> list[Logged]:
    """The events at these positions; one that is not there is left out."""
    return [Logged(*row) for row in db.execute(_AT, {"positions": list(positions)})]


def pages(db: Db, after: int, last: int) -> Iterator[Page]:
    """All events above ``after`` and up to ``last``; the pages leave no gap between them."""
    while True:
        given = {"after": after, "head": last, "limit": PAGE}
        rows = [Logged(*row) for row in db.execute(_PAGE, given)]
        until = rows[-1].position if len(rows) == PAGE else max(last, after)
        yield Page(rows, after, until)
        if len(rows) < PAGE:
            return
        after = until


def sampled(db: Db, after: int, last: int, size: int) -> Iterator[Page]:
    """Some of these positions, drawn by chance; what was rolled back has left gaps among them."""
    drawn = sorted(random.sample(range(after + 1, last + 1), min(size, max(0, last - after))))
    for start in range(0, len(drawn), PAGE):
        yield Page(at(db, drawn[start : start + PAGE]), after, last, whole=False)
