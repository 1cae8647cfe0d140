"""Looks positions up by aggregate, correlation and causation, in the table that the processor `event_lookup` keeps.

The table knows the part of the log that the processor has settled. What is newer, what was published before the
processor was there, and everything where it is left out, is looked through in the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
from sqlalchemy.exc import DBAPIError

from fundlyhub.database import get_engine
from fundlyhub.events import lookup_keys
from fundlyhub.events.log import head
from fundlyhub.relay.cursor import first_unseen

if TYPE_CHECKING:
    from fundlyhub.history.finding import Wanted

PROCESSOR = "event_lookup"

_START = "SELECT from_position FROM events.processors WHERE name = %(name)s"
# The sweep passes what waits or rests, too: of that nothing is in the table yet.
_HELD = """
    SELECT min(position) FROM (
        SELECT position FROM events.attempts WHERE processor = %(name)s
        UNION ALL SELECT position FROM events.dead_letters WHERE processor = %(name)s AND state IN ('open', 'replayed')
    ) AS held
"""
_POSITIONS = """
    SELECT position FROM analytics.event_lookup
    WHERE key = %(key)s AND position > %(after)s AND position < %(before)s ORDER BY position {order} LIMIT %(limit)s
"""


class Known(NamedTuple):
    """The part of the log whose positions are all in the table: above ``after``, up to ``until``."""

    after: int
    until: int


def known(db: psycopg.Connection[Any]) -> Known:
    """What can be looked up now; nothing where the processor is not registered. ``db`` is one to the Events DB."""
    given = {"name": PROCESSOR}
    newest = head(db)
    start = db.execute(_START, given).fetchone()
    swept = db.execute("SELECT 1 FROM events.relay_cursors WHERE name = 'sweep:' || %(name)s", given).fetchone()
    if start is None or swept is None:
        return Known(0, 0)
    (held,) = db.execute(_HELD, given).fetchone() or (None,)
    lacking = [one for one in (first_unseen(db, f"sweep:{PROCESSOR}"), held) if one is not None]
    return Known(start[0], max(start[0], min([newest + 1, *lacking]) - 1))


def key(wanted: Wanted) -> int | None:
    """The key by which what is wanted is looked up, the rarest first; None where it names none."""
    if wanted.causation_id is not None:
        return lookup_keys.causation(wanted.causation_id)
    if wanted.correlation_id is not None:
        return lookup_keys.correlation(wanted.correlation_id)
    return None if wanted.aggregate_id is None else lookup_keys.aggregate(wanted.aggregate_id)


def positions(key: int, after: int, before: int, limit: int, *, oldest_first: bool) -> Sequence[int] | None:
    """Positions of this key between two others, which are not included; None where the table cannot be read now."""
    query = _POSITIONS.format(order="ASC" if oldest_first else "DESC")
    given = {"key": key, "after": after, "before": before, "limit": limit}
    try:
        with get_engine("analytics").connect() as db:
            return db.exec_driver_sql(query, given).scalars().all()
    except DBAPIError:  # away, or not migrated yet: the log can be asked all the same
        return None
