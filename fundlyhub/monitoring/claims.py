"""Counts of applied events per processor: its claims, counted slice by slice.

A full count would read the whole index at each scrape, and the table only grows. So positions are divided into slices.
Each reading counts the newest slices, those that have grown, and, while time remains, those counted the longest ago;
late claims (retries, replayed dead letters) are found then. The claims of dropped partitions were counted at the drop,
so the sum never decreases and does not depend on any worker.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import psycopg

SLICE = 100_000
"""Positions in a slice: an index-only scan of about 10 ms per processor."""
FINE = 10_000
"""The same for somebody who reads every second."""
NEWEST = 2
"""Slices at the end of the log that every reading counts."""
GROWN = 4
"""Slices that had grown when they were last counted, and that every reading counts too."""

_LAST = """
    SELECT coalesce(max(last), 0) FROM unnest(%(names)s::text[]) AS given(name), LATERAL (
        SELECT max(position) AS last FROM processed_events WHERE processor = name) claims
"""
_SLICE = """
    SELECT name, (SELECT count(*) FROM processed_events
                  WHERE processor = name AND position >= %(low)s AND position < %(high)s)
    FROM unnest(%(names)s::text[]) AS given(name)
"""
_DROPPED = """
    SELECT name, coalesce(max(high), 0), coalesce(sum((claims ->> name)::bigint), 0)::bigint
    FROM unnest(%(names)s::text[]) AS given(name) LEFT JOIN dropped_claims ON true GROUP BY name
"""


class Claims:
    """The counts of one database's processors, kept from one reading to the next."""

    def __init__(self, names: Sequence[str], slice: int = SLICE) -> None:
        self._names, self._slice = list(names), slice
        self._counted: dict[int, dict[str, int]] = {}  # the slice counted the longest ago comes first
        self._dropped: dict[str, tuple[int, int]] = {}
        self._grown: list[int] = []
        self.is_whole = False
        """Whether every slice has been counted once: from then on a reading may take no time for older ones."""

    def read(self, db: psycopg.Connection[Any], seconds: float) -> dict[str, int] | None:
        """Events applied by each processor; None until every slice has been counted once.

        ``db`` is a connection to the processors' own database; ``seconds`` is the time for the older slices,
        of which one is counted in any case.
        """
        self._read_dropped(db)
        (last,) = db.execute(_LAST, {"names": self._names}).fetchone() or (0,)
        slices = last // self._slice + 1
        end = time.monotonic() + seconds
        first = order(slices, list(self._counted), self._grown)
        due = len({*first[:NEWEST], *self._grown})
        self._grown = []
        for turn, number in enumerate(first):
            if turn > due and time.monotonic() > end:
                break
            before = self._counted.pop(number, None)
            self._counted[number] = self._count(db, number)
            if before is not None and before != self._counted[number]:
                self._grown = [*self._grown, number][:GROWN]
        self.is_whole = all(number in self._counted for number in range(slices))
        if not self.is_whole:
            return None
        dropped = {name: count for name, (_, count) in self._dropped.items()}
        return {name: dropped[name] + sum(counts[name] for counts in self._counted.values()) for name in self._names}

    def _read_dropped(self, db: psycopg.Connection[Any]) -> None:
        """Read the counts of dropped partitions; forget the slices that overlap one dropped since the last reading."""
        rows = db.execute(_DROPPED, {"names": self._names}).fetchall()
        found = {name: (high, count) for name, high, count in rows}
        if found != self._dropped:
            last = max((high for high, _ in found.values()), default=0)
            self._counted = {number: of for number, of in self._counted.items() if number * self._slice > last}
            self._dropped = found

    def _count(self, db: psycopg.Connection[Any], number: int) -> dict[str, int]:
        low = number * self._slice
        return dict(db.execute(_SLICE, {"names": self._names, "low": low, "high": low + self._slice}).fetchall())


def order(slices: int, counted: Sequence[int], grown: Sequence[int] = ()) -> list[int]:
    """The order of counting: the newest slices, those that grew, those never counted, then the longest ago. Pure."""
    newest = range(slices - 1, max(-1, slices - 1 - NEWEST), -1)
    known = set(counted)
    never = (number for number in range(slices) if number not in known)
    return list(dict.fromkeys((*newest, *grown, *never, *counted)))
