"""Events that wait for a processor: wanted, not applied, and without an attempt or a dead letter.

They are computed from the tables alone, independent of relay and workers, so that dead processes are noticed. Positions
that the sweep has settled are skipped; the rest is counted by ranges, without a list of positions.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import psycopg

from fundlyhub.events.log import head
from fundlyhub.processing.processor import Processor
from fundlyhub.processing.routing import wanting
from fundlyhub.relay.cursor import NOTHING_SEEN

PAGE = 2_000
"""Size of the range in which the oldest event is searched one by one."""

_SEEN = "SELECT seen::text FROM events.relay_cursors WHERE name = %(cursor)s"
_START = "SELECT from_position FROM events.processors WHERE name = %(name)s"
# Where begins what a snapshot did not see; OFFSET 0 as in the relay's cursor.
_FLOOR = """
    SELECT least(
        (SELECT min(position) FROM (SELECT position FROM events.events
         WHERE xid >= pg_snapshot_xmax(%(seen)s::pg_snapshot) OFFSET 0) late),
        (SELECT min(position) FROM (SELECT position FROM events.events
         WHERE xid = ANY (ARRAY(SELECT pg_snapshot_xip(%(seen)s::pg_snapshot))) OFFSET 0) early)) - 1
"""
_RANGE = "position > %(low)s AND position <= %(high)s"
_TYPES = f"SELECT type, count(*) FROM events.events WHERE {_RANGE} GROUP BY type"  # noqa: S608  # our own constant
_EVENTS = f"""
    SELECT position, type, extract(epoch FROM clock_timestamp() - recorded_at)::float8
    FROM events.events WHERE {_RANGE} ORDER BY position
"""  # noqa: S608  # the same
_CLAIMS = f"SELECT position FROM processed_events WHERE processor = %(processor)s AND {_RANGE}"  # noqa: S608  # the same
_HELD = f"""
    SELECT position FROM events.attempts WHERE processor = %(processor)s AND {_RANGE}
    UNION
    SELECT position FROM events.dead_letters WHERE processor = %(processor)s AND {_RANGE} AND state <> 'resolved'
"""  # noqa: S608  # the same
_CLAIMS_COUNTED = f"SELECT count(*) FROM ({_CLAIMS}) c"  # noqa: S608  # the same
_HELD_COUNTED = f"SELECT count(*) FROM ({_HELD}) h"  # noqa: S608  # the same


class Waiting(NamedTuple):
    """The number of waiting events, and the age of the oldest in seconds."""

    events: int
    oldest: float


class Log:
    """A reading of the log and of one database's claims; values shared by processors are read once."""

    def __init__(self, log: psycopg.Connection[Any], effects: psycopg.Connection[Any]) -> None:
        self._log, self._effects = log, effects
        self._head = head(log)
        self._floors: dict[str, int | None] = {}
        self._types: dict[tuple[int, int], dict[str, int]] = {}

    def waiting(self, processor: type[Processor]) -> Waiting:
        """The events that wait for a processor."""
        seen = str(_value(self._log, _SEEN, {"cursor": f"sweep:{processor.name}"}) or NOTHING_SEEN)
        if seen not in self._floors:
            self._floors[seen] = _value(self._log, _FLOOR, {"seen": seen})
        floor = self._floors[seen]
        if floor is None:  # there is nothing beyond
            return Waiting(0, 0.0)
        low = max(floor, int(_value(self._log, _START, {"name": processor.name}) or 0))
        events = self._unsettled(processor, low, self._head)
        return Waiting(events, self._oldest(processor, low, self._head) if events else 0.0)

    def _unsettled(self, processor: type[Processor], low: int, high: int) -> int:
        """Unsettled wanted events in a range. Concurrent claims make the number too low, never too high."""
        if (low, high) not in self._types:
            self._types[low, high] = dict(self._log.execute(_TYPES, {"low": low, "high": high}).fetchall())
        wants = wanting(processor)
        wanted = sum(events for kind, events in self._types[low, high].items() if wants(kind))
        given = {"processor": processor.name, "low": low, "high": high}
        claimed = int(_value(self._effects, _CLAIMS_COUNTED, given)) if wanted else 0
        held = int(_value(self._log, _HELD_COUNTED, given)) if wanted else 0
        return max(0, wanted - claimed - held)

    def _oldest(self, processor: type[Processor], low: int, high: int) -> float:
        """Age of the oldest unsettled event: binary search down to a page, then one by one."""
        while high - low > PAGE:
            middle = (low + high) // 2
            low, high = (low, middle) if self._unsettled(processor, low, middle) else (middle, high)
        given = {"processor": processor.name, "low": low, "high": high}
        rows = self._log.execute(_EVENTS, given).fetchall()
        traces = {row[0] for row in self._effects.execute(_CLAIMS, given)}
        traces |= {row[0] for row in self._log.execute(_HELD, given)}
        wants = wanting(processor)
        ages = (age for position, kind, age in rows if position not in traces and wants(kind))
        return max(0.0, next(ages, 0.0))


def _value(db: psycopg.Connection[Any], query: Any, values: dict[str, Any]) -> Any:
    row = db.execute(query, values).fetchone()
    return None if row is None else row[0]
