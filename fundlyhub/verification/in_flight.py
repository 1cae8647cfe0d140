"""Decides which unsettled events are on their way, late, or missing.

The events of a paused processor are on their way, however long it lasts.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias
from uuid import UUID

from fundlyhub.processing.processor import Processor
from fundlyhub.verification.findings import Finding, Findings, Tell
from fundlyhub.verification.log import PAGE
from fundlyhub.verification.scope import Places, Scope
from fundlyhub.verification.traces import traces_at

MOMENT = 3.0
"""Seconds in which the event of a long transaction, old when it is relayed, may still be taken up."""
POLL = 0.25
"""Seconds between two looks."""

_RETRYING = """
    SELECT count(*) FROM events.attempts WHERE processor = ANY (%(processors)s) AND position <= %(head)s
        AND next_at < clock_timestamp() + make_interval(secs => %(left)s)
"""
_AGES = """
    SELECT e.position, e.id, coalesce(
               pg_visible_in_snapshot(e.xid, c.seen)
               OR (pg_visible_in_snapshot(e.xid, c.target) AND e.position <= c.after), false),
           extract(epoch FROM clock_timestamp() - e.recorded_at)::float8
    FROM events.events e LEFT JOIN events.relay_cursors c ON c.name = 'main'
    WHERE e.position = ANY (%(positions)s::bigint[]) ORDER BY e.position
"""
_PAUSED = "SELECT DISTINCT processor FROM events.processor_pauses"
_OVERDUE = """
    SELECT a.processor, a.position, e.id, extract(epoch FROM clock_timestamp() - a.next_at)::int
    FROM events.attempts a LEFT JOIN events.events e USING (position)
    WHERE a.processor = %(processor)s AND a.position > %(since)s
      AND a.next_at < clock_timestamp() - make_interval(secs => %(limit)s)
    ORDER BY a.next_at LIMIT %(most)s
"""
MOST = 100_000
"""Overdue attempts that are looked at, the oldest first."""

Untraced: TypeAlias = "Mapping[str, array[int]]"
"""Positions per processor."""


class Age(NamedTuple):
    """An event without a trace: whether the relay has handed it over, and how many seconds ago it was published."""

    position: int
    event_id: UUID
    relayed: bool
    age: float


def is_missing(event: Age, patience: float, waited: bool) -> bool:
    """Whether it should have left a trace by now. Pure."""
    return waited or (event.relayed and event.age >= patience)


class Flight:
    """Follows the events without a trace until it is clear what has become of them."""

    def __init__(self, places: Places, scope: Scope, findings: Findings, tell: Tell) -> None:
        self._places, self._scope, self._findings, self._tell = places, scope, findings, tell

    def wait(self, untraced: Untraced, head: int) -> Untraced:
        """Wait until all of these have left a trace and nothing is retried, at most ``wait`` seconds."""
        end = time.monotonic() + self._scope.wait
        while (left := end - time.monotonic()) > 0:
            given = {"processors": list(self._scope.processors), "head": head, "left": left}
            row = self._places.events.execute(_RETRYING, given).fetchone()
            pending = sum(map(len, untraced.values())) + (row[0] if row else 0)
            if not pending:
                break
            self._tell("waiting for what is in flight", 0, pending)
            time.sleep(min(POLL, left))
            untraced = self._still(untraced)
        return untraced

    def settle(self, untraced: Untraced) -> tuple[Untraced, dict[str, int]]:
        """What is missing, which is noted, and how much is in flight."""
        untraced = self._still(untraced)
        late = self._late(untraced)
        end = time.monotonic() + min(MOMENT, self._scope.grace)
        while not self._scope.wait and any(late.values()) and time.monotonic() < end:
            time.sleep(POLL)
            late = self._still(late)
        for name, positions in late.items():
            for event in self._ages(positions):
                what = "left no trace: no claim, no dead letter, no attempt" if event.relayed else "was not relayed"
                self._findings.add(Finding("missing", name, what, event.position, event.event_id, repairable=True))
        left = self._still(untraced)
        in_flight = {name: len(positions) - len(late[name]) for name, positions in left.items()}
        return late, {name: count for name, count in in_flight.items() if count > 0}

    def stuck(self) -> dict[str, list[int]]:
        """Note attempts that are long overdue: nothing sends them again."""
        found: dict[str, list[int]] = {}
        paused = self._paused()
        for name, processor in self._scope.processors.items():
            if name in paused:
                continue
            limit = self._scope.patience(processor)
            given = {"processor": name, "since": self._scope.since, "limit": limit, "most": MOST}
            for _, position, event_id, overdue in self._places.events.execute(_OVERDUE, given).fetchall():
                what = f"its next attempt has been due for {overdue} s, and nothing makes it"
                self._findings.add(Finding("stuck", name, what, position, event_id, repairable=True))
                found.setdefault(name, []).append(position)
        return found

    def _late(self, untraced: Untraced) -> Untraced:
        late = {}
        paused = self._paused()
        for name, positions in untraced.items():
            if name in paused:
                late[name] = array("q")
                continue
            patience = self._scope.patience(self._scope.processors[name])
            missing = (e.position for e in self._ages(positions) if is_missing(e, patience, self._scope.wait > 0))
            late[name] = array("q", missing)
        return late

    def _paused(self) -> set[str]:
        """Processors whose events wait for the end of a pause, or for the relay to send what it held back."""
        return {name for (name,) in self._places.events.execute(_PAUSED).fetchall()}

    def _ages(self, positions: Sequence[int]) -> Iterator[Age]:
        for part in _parts(positions):
            yield from (Age(*row) for row in self._places.events.execute(_AGES, {"positions": part}).fetchall())

    def _still(self, untraced: Untraced) -> Untraced:
        return {
            name: array("q", self._untraced(self._scope.processors[name], positions))
            for name, positions in untraced.items()
        }

    def _untraced(self, processor: type[Processor], positions: Sequence[int]) -> Iterable[int]:
        for part in _parts(positions):
            traces = traces_at(self._places, processor, part)
            yield from (position for position in part if position not in traces)


def _parts(positions: Sequence[int]) -> Iterator[list[int]]:
    return (list(positions[start : start + PAGE]) for start in range(0, len(positions), PAGE))
