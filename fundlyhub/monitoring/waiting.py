"""Events that wait for a processor: wanted, not applied, and without an attempt or a dead letter.

They are computed from the tables alone, independent of relay and workers, so that dead processes are noticed. Positions
that the sweep has settled are skipped; the rest is counted by ranges, without a list of positions.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import psycopg

from fundlyhub.events.log import head
from fundlyhub.processing.processor import Processor
from fundlyhub.processing.routing import wanting
from fundlyhub.relay.cursor import NOTHING_SEEN

PAGE = 250
"""Size of the range in which the oldest event is searched one by one."""

# How far the sweep has seen, and where each processor begins.
_STARTS = """
    SELECT given.name, coalesce(from_position, 0), seen::text
    FROM unnest(%(processors)s::text[]) AS given(name)
    LEFT JOIN events.processors p ON p.name = given.name
    LEFT JOIN events.relay_cursors c ON c.name = 'sweep:' || given.name
"""
# Where begins what a snapshot did not see; OFFSET 0 as in the relay's cursor.
_FLOOR = """
    SELECT least(
        (SELECT min(position) FROM (SELECT position FROM events.events
         WHERE xid >= pg_snapshot_xmax(%(seen)s::pg_snapshot) OFFSET 0) late),
        (SELECT min(position) FROM (SELECT position FROM events.events
         WHERE xid = ANY (ARRAY(SELECT pg_snapshot_xip(%(seen)s::pg_snapshot))) OFFSET 0) early)) - 1
"""
_RANGE = "position > %(low)s AND position <= %(high)s"
_OURS = f"processor = ANY (%(processors)s::text[]) AND {_RANGE}"
_TYPES = f"SELECT type, count(*) FROM events.events WHERE {_RANGE} GROUP BY type"  # noqa: S608  # our own constant
_EVENTS = f"""
    SELECT position, type, extract(epoch FROM clock_timestamp() - recorded_at)::float8
    FROM events.events WHERE {_RANGE} ORDER BY position
"""  # noqa: S608  # the same
_CLAIMS = f"SELECT processor, position FROM processed_events WHERE {_OURS}"  # noqa: S608  # the same
_HELD = f"""
    SELECT processor, position FROM events.attempts WHERE {_OURS}
    UNION
    SELECT processor, position FROM events.dead_letters WHERE {_OURS} AND state <> 'resolved'
"""  # noqa: S608  # the same
_CLAIMS_COUNTED = f"SELECT processor, count(*) FROM ({_CLAIMS}) c GROUP BY processor"  # noqa: S608  # the same
_HELD_COUNTED = f"SELECT processor, count(*) FROM ({_HELD}) h GROUP BY processor"  # noqa: S608  # the same

Rows = list[tuple[Any, ...]]


class Waiting(NamedTuple):
    """The number of waiting events, and the age of the oldest in seconds."""

    events: int
    oldest: float


class Log:
    """A reading of the log and of one database's claims for its processors; a range is read once for all of them."""

    def __init__(
        self, log: psycopg.Connection[Any], effects: psycopg.Connection[Any], processors: Collection[type[Processor]]
    ) -> None:
        self._log, self._effects = log, effects
        self._names = [processor.name for processor in processors]
        self._head = head(log)
        rows = log.execute(_STARTS, {"processors": self._names}).fetchall()
        self._starts: dict[str, tuple[int, str | None]] = {name: (start, seen) for name, start, seen in rows}
        self._floors: dict[str, int | None] = {}
        self._read: dict[tuple[str, int, int], Rows] = {}

    def waiting(self, processor: type[Processor]) -> Waiting:
        """The events that wait for one of the processors."""
        start, known = self._starts[processor.name]
        seen = known or str(NOTHING_SEEN)
        if seen not in self._floors:
            row = self._log.execute(_FLOOR, {"seen": seen}).fetchone()
            self._floors[seen] = None if row is None else row[0]
        floor = self._floors[seen]
        if floor is None:  # there is nothing beyond
            return Waiting(0, 0.0)
        low = max(floor, start)
        events = self._unsettled(processor, low, self._head)
        return Waiting(events, self._oldest(processor, low, self._head) if events else 0.0)

    def _unsettled(self, processor: type[Processor], low: int, high: int) -> int:
        """Unsettled wanted events in a range. Concurrent claims make the number too low, never too high."""
        wants = wanting(processor)
        wanted: int = sum(events for kind, events in self._rows(self._log, _TYPES, low, high) if wants(kind))
        if not wanted:
            return 0
        settled: int = 0
        for db, query in ((self._effects, _CLAIMS_COUNTED), (self._log, _HELD_COUNTED)):
            settled += sum(count for name, count in self._rows(db, query, low, high) if name == processor.name)
        return max(0, wanted - settled)

    def _oldest(self, processor: type[Processor], low: int, high: int) -> float:
        """Age of the oldest unsettled event: it is early as a rule, so ranges grow from the beginning, and are halved
        once it is in one; the last page is looked through one by one.
        """
        width = PAGE
        while high - low > PAGE:
            middle = min(low + width, (low + high) // 2)
            width *= 2
            low, high = (low, middle) if self._unsettled(processor, low, middle) else (middle, high)
        traces = {
            position
            for db, query in ((self._effects, _CLAIMS), (self._log, _HELD))
            for name, position in self._rows(db, query, low, high)
            if name == processor.name
        }
        wants = wanting(processor)
        rows = self._rows(self._log, _EVENTS, low, high)
        ages = (age for position, kind, age in rows if position not in traces and wants(kind))
        return max(0.0, next(ages, 0.0))

    def _rows(self, db: psycopg.Connection[Any], query: str, low: int, high: int) -> Rows:
        """The rows of a range, of all processors."""
        if (query, low, high) not in self._read:
            given = {"processors": self._names, "low": low, "high": high}
            self._read[query, low, high] = db.execute(query.encode(), given).fetchall()
        return self._read[query, low, high]
