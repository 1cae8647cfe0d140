"""Replays claimed events through the processors' own code into the shadow schema.

What was replayed is noted in the shadow's own table of claims, in the transaction of the effects, so that a second
pass finds exactly what is new. Handlers converge: what comes late in the log's order does no harm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.database import is_concurrency_fault, is_outage, sqlstate
from fundlyhub.errors import InvalidEvent, Permanent, Unavailable
from fundlyhub.events import Event, StoredEvent, read_in_portions
from fundlyhub.events.reading import identities
from fundlyhub.events.refusal import interruption
from fundlyhub.processing.dead_letters import describe
from fundlyhub.processing.load import corrected
from fundlyhub.processing.processor import Processor
from fundlyhub.verification.findings import Finding, Findings
from fundlyhub.verification.tables.shadow import Beside

_NO_LOCK = "55P03"
# The next claims in their order, each looked up among those that were replayed. The planner knows nothing of a table
# that is being filled, nor how few claims lie in some ranges: for each page it would compare all claims of both sides.
# OFFSET 0 keeps each look-up a look-up.
_CLAIMS = """
    SELECT claim.position, claim.event_id FROM {these} AS claim
    WHERE (
        SELECT true FROM processed_events AS done
        WHERE done.processor = %(processor)s AND done.position = claim.position OFFSET 0
    ) IS NULL
    ORDER BY claim.position LIMIT %(limit)s
"""
_THESE = """(
        SELECT position, event_id FROM {live}.processed_events
        WHERE processor = %(processor)s AND position > %(after)s::bigint AND position <= %(until)s::bigint {only}
        ORDER BY position OFFSET 0
    )"""
_ONLY = "AND position = ANY (%(only)s::bigint[])"
_WITHIN = """unnest(%(lows)s::bigint[], %(highs)s::bigint[]) AS open(low, high) CROSS JOIN LATERAL (
        SELECT position, event_id FROM {live}.processed_events
        WHERE processor = %(processor)s AND position >= greatest(open.low, %(after)s::bigint + 1)
          AND position <= least(open.high, %(until)s::bigint) OFFSET 0
    )"""
LAST = 2**63 - 1
"""A position that no event has."""
_NOTE = """
    INSERT INTO processed_events (processor, position, event_id)
    SELECT %(processor)s, * FROM unnest(%(positions)s::bigint[], %(ids)s::uuid[])
"""
# A claim that has gone, or become another event's, cannot be taken out of what was made from it.
_GONE = """
    SELECT count(*) FROM processed_events AS done LEFT JOIN {live}.processed_events AS claim
        USING (processor, position, event_id)
    WHERE claim.processor IS NULL
"""


class Claim(NamedTuple):
    """A position, and the event that was claimed there."""

    position: int
    event_id: UUID


Note = Callable[[Connection, Sequence[StoredEvent]], None]
"""Told of the events as they stand in the log, or were corrected, in the transaction of their replay."""


class Replay:
    """Replays one processor's claims; ``only`` are the positions of a sample, ``within`` ranges, apart from each other.

    With ``whole`` a claimed event that the log lacks is a finding too. ``limit`` is of a page, by default a batch.
    """

    def __init__(
        self, shadow: Beside, log: Connection, processor: type[Processor], findings: Findings,
        only: Sequence[int] | None = None, note: Note | None = None, *,
        within: Sequence[tuple[int, int]] | None = None, whole: bool = False, limit: int | None = None,
    ) -> None:  # fmt: skip
        self.limit = processor.batch_size if limit is None else min(limit, processor.batch_size)
        self._shadow, self._log, self._processor, self._findings = shadow, log, processor, findings
        self._note, self._whole = note, whole
        self._ranges = {"lows": [low for low, _ in within or ()], "highs": [high for _, high in within or ()]}
        self._only = list(only) if only is not None else None
        these = _THESE if within is None else _WITHIN
        these = these.format(live=shadow.branch, only=_ONLY if only is not None else "")
        self._claims = _CLAIMS.format(these=these)

    def page(self, after: int, until: int = LAST) -> list[Claim]:
        """The next claims that were not replayed, replayed in the caller's transaction; none when all are."""
        given: dict[str, Any] = {
            "processor": self._processor.name, "after": after, "until": until, "limit": self.limit,
            "only": self._only, **self._ranges,
        }  # fmt: skip
        # A plan for any values would take a range for the whole table: it is made anew for these.
        claims = [Claim(*row) for row in self._shadow.driver.execute(self._claims.encode(), given, prepare=False)]
        if claims:
            for events in self._events(claims):
                for event, error in self._apply(events):
                    what = f"claimed, and its handler refuses it now: {describe(error)}"
                    finding = Finding("different", self._processor.name, what, event.position, event.id)
                    self._findings.add(finding)
            given["positions"] = [claim.position for claim in claims]
            given["ids"] = [claim.event_id for claim in claims]
            self._shadow.db.exec_driver_sql(_NOTE, given)
        return claims

    def rest(self) -> int:
        """All that were not replayed, in the caller's transaction; how many."""
        count, after = 0, 0
        while claims := self.page(after):
            count, after = count + len(claims), claims[-1].position
        return count

    def _events(self, claims: Sequence[Claim]) -> Iterator[list[Event]]:
        """The events that were claimed, with a person's corrections, in portions that are limited in bytes.

        In a verification, what the log lacks is told by the traces.
        """
        ids = {claim.position: claim.event_id for claim in claims}
        absent = set(ids)
        for portion in self._portions(list(ids)):
            stored = [row for row in portion if row.id == ids[row.position]]
            absent.difference_update(row.position for row in stored)
            if not self._processor.reads_contents:
                yield [Event.unread(row) for row in stored]
                continue
            for rows in corrected(self._log, self._processor, stored):
                yield self._readable(rows)
        for position in sorted(absent) if self._whole else ():
            what = "claimed, and its event is not in the log"
            self._findings.add(Finding("missing", self._processor.name, what, position, ids[position]))

    def _portions(self, positions: Sequence[int]) -> Iterable[list[StoredEvent]]:
        if self._processor.reads_contents:
            return read_in_portions(self._log, positions)
        return [identities(self._log, positions)[0]]

    def _readable(self, stored: Sequence[StoredEvent]) -> list[Event]:
        events, rows = [], []
        for row in stored:
            try:
                events.append(Event.stored(row))
                rows.append(row)
            except InvalidEvent as error:
                what = f"claimed, and this code cannot read it: {type(error).__name__}"
                self._findings.add(Finding("different", self._processor.name, what, row.position, row.id))
        if self._note:
            self._note(self._shadow.db, rows)
        return events

    def _apply(self, events: Sequence[Event]) -> list[tuple[Event, Exception]]:
        """Apply all at once or, if that fails, one by one; return the events that fail."""
        if not events:
            return []
        try:
            with self._shadow.db.begin_nested():
                self._processor().handle_batch(events, self._shadow.db)
                if written := self._shadow.written_elsewhere():
                    raise Permanent(f"it writes to {written}: tables must be named without a schema")
            return []
        except Exception as error:
            if is_outage(error) or is_concurrency_fault(error) or interruption(error) or sqlstate(error) == _NO_LOCK:
                raise
            if len(events) == 1:
                return [(events[0], error)]
        return [fault for event in events for fault in self._apply([event])]


def refuse_lost_claims(shadow: Beside) -> None:
    """Raise Unavailable when claims went away while they were replayed."""
    if gone := shadow.db.exec_driver_sql(_GONE.format(live=shadow.branch)).scalar_one():
        raise Unavailable(f"{gone} claims were taken away or changed meanwhile; begin again")
