"""Replays claimed events through the processors' own code into the shadow schema.

What was replayed is noted in the shadow's own table of claims, in the transaction of the effects, so that a second
pass finds exactly what is new. Handlers converge: what comes late in the log's order does no harm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.database import is_outage
from fundlyhub.errors import InvalidEvent, Unavailable
from fundlyhub.events import Event, StoredEvent
from fundlyhub.events import read as read_log
from fundlyhub.processing.dead_letters import describe
from fundlyhub.processing.load import corrected
from fundlyhub.processing.processor import Processor
from fundlyhub.verification.findings import Finding, Findings
from fundlyhub.verification.tables.shadow import Shadow

_CLAIMS = """
    SELECT claim.position, claim.event_id FROM {live}.processed_events AS claim
    LEFT JOIN processed_events AS done USING (processor, position)
    WHERE processor = %(processor)s AND position > %(after)s AND done.position IS NULL {only}
    ORDER BY position LIMIT %(limit)s
"""
_ONLY = "AND position = ANY (%(only)s::bigint[])"
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
    """Replays one processor's claims; ``only`` are the positions of a sample."""

    def __init__(
        self, shadow: Shadow, log: Connection, processor: type[Processor], findings: Findings,
        only: Sequence[int] | None = None, note: Note | None = None,
    ) -> None:  # fmt: skip
        self._db, self._log, self._processor, self._findings = shadow.db, log, processor, findings
        self._note = note
        self._only = list(only) if only is not None else None
        self._claims = _CLAIMS.format(live=shadow.branch, only=_ONLY if only is not None else "")

    def page(self, after: int) -> list[Claim]:
        """The next claims that were not replayed, replayed in the caller's transaction; none when all are."""
        given: dict[str, Any] = {
            "processor": self._processor.name, "after": after, "limit": self._processor.batch_size, "only": self._only,
        }  # fmt: skip
        claims = [Claim(*row) for row in self._db.exec_driver_sql(self._claims, given)]
        if claims:
            for event, error in self._apply(self._events(claims)):
                what = f"claimed, and its handler refuses it now: {describe(error)}"
                finding = Finding("different", self._processor.name, what, event.position, event.id)
                self._findings.add(finding)
            given["positions"] = [claim.position for claim in claims]
            given["ids"] = [claim.event_id for claim in claims]
            self._db.exec_driver_sql(_NOTE, given)
        return claims

    def rest(self) -> int:
        """All that were not replayed, in the caller's transaction; how many."""
        count, after = 0, 0
        while claims := self.page(after):
            count, after = count + len(claims), claims[-1].position
        return count

    def _events(self, claims: Sequence[Claim]) -> list[Event]:
        """The events that were claimed, with a person's corrections. What the log lacks is told by the traces."""
        ids = {claim.position: claim.event_id for claim in claims}
        stored = [row for row in read_log(self._log, list(ids)) if row.id == ids[row.position]]
        events, rows = [], []
        for row in corrected(self._log, self._processor, stored):
            try:
                events.append(Event.stored(row))
                rows.append(row)
            except InvalidEvent as error:
                what = f"claimed, and this code cannot read it: {type(error).__name__}"
                self._findings.add(Finding("different", self._processor.name, what, row.position, row.id))
        if self._note:
            self._note(self._db, rows)
        return events

    def _apply(self, events: Sequence[Event]) -> list[tuple[Event, Exception]]:
        """Apply all at once or, if that fails, one by one; return the events that fail."""
        if not events:
            return []
        try:
            with self._db.begin_nested():
                self._processor().handle_batch(events, self._db)
            return []
        except Exception as error:
            if is_outage(error):
                raise
            if len(events) == 1:
                return [(events[0], error)]
        return [fault for event in events for fault in self._apply([event])]


def refuse_lost_claims(shadow: Shadow) -> None:
    """Raise Unavailable when claims went away while they were replayed."""
    if gone := shadow.db.exec_driver_sql(_GONE.format(live=shadow.branch)).scalar_one():
        raise Unavailable(f"{gone} claims were taken away or changed meanwhile; run `fundlyhub verify` again")
