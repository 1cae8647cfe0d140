"""Checks the ledger of messages: each event has its messages there, and all are settled once it is claimed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from fundlyhub.errors import InvalidEvent
from fundlyhub.events import canonical_type
from fundlyhub.processing.processor import BroadcastProcessor, Processor
from fundlyhub.processing.registry import processors
from fundlyhub.processors.notifications.catalogue import NOTICES, Notice
from fundlyhub.verification import broadcasts, digests
from fundlyhub.verification.findings import Finding, Findings, Kind
from fundlyhub.verification.log import PAGE, Logged, Page
from fundlyhub.verification.scope import Places, Scope
from fundlyhub.verification.traces import Traces, traces_at
from fundlyhub.verification.without_message import rightly

_ROWS = """
    SELECT event_id, template, state, sent_at IS NOT NULL, count(*) FROM notifications
    WHERE channel = %(channel)s AND event_id = ANY (%(ids)s::uuid[]) GROUP BY 1, 2, 3, 4
"""
# A row that no run is at work on. One that waits for a time of its own is not late before that.
_IDLE = """
    SELECT id, position, event_id, template, state FROM notifications
    WHERE channel = %(channel)s AND position > %(since)s AND id > %(after)s AND changed_at < %(late)s
      AND (template = ANY (%(many)s)) = %(for_many)s
      AND (state = 'queued' AND coalesce(not_before, changed_at) < %(late)s
           OR state = 'sending' AND lease_until < %(late)s)
    ORDER BY id LIMIT %(limit)s
"""
_LATE = "SELECT clock_timestamp() - make_interval(secs => %s)"
_SHARED = """
    SELECT provider, count(*), min(position) FROM notifications
    WHERE channel = %(channel)s AND position > %(since)s AND provider_message_id IS NOT NULL
    GROUP BY provider, provider_message_id HAVING count(DISTINCT coalesce(user_id::text, recipient)) > 1
    ORDER BY 3
"""


class Rows(NamedTuple):
    """``number`` messages of an event and a template, and how they stand."""

    event_id: UUID
    template: str
    state: str
    accepted: bool
    number: int

    @property
    def settled(self) -> bool:
        """Whether nothing is left to do: one that failed or is unknown is settled only once it was accepted."""
        return self.state in ("sent", "delivered", "skipped", "held") or (
            self.accepted and self.state in ("failed", "unknown")
        )


def notices_for(kind: str, channel: str) -> list[Notice]:
    """What an event of a type, in whatever way it is written, has us tell through a channel. Pure."""
    with suppress(InvalidEvent):
        kind = canonical_type(kind)
    return [notice for notice in NOTICES if notice.payload.event_type == kind and channel in notice.channels]


def wordless(notices: Sequence[Notice], rows: Sequence[Rows]) -> list[Notice]:
    """The messages of an event that have no row of its own. Pure.

    A message to all followers of a person without followers has none.
    """
    written = {row.template for row in rows}
    return [one for one in notices if one.template not in written and one.recipient != "followers"]


def faults(missing: Sequence[Notice], rows: Sequence[Rows]) -> Iterator[tuple[Kind, str, Any, Any]]:
    """What is wrong with the messages of a claimed event: kind, text, expected and found. Pure.

    ``missing`` are those that have no row, and that no other event of the same matter has told.
    """
    for notice in missing:
        yield "missing", f"claimed, and the ledger has no message {notice.template}", None, None
    left: Counter[str] = Counter()
    for row in rows:
        if not row.settled:
            left[row.state] += row.number
    if left:
        yield "different", "claimed, and not all of its messages are settled", {"open": 0}, {"open": dict(left)}


class Ledger:
    """Compares the ledger of one channel with the claims of the channel's processor."""

    def __init__(self, places: Places, scope: Scope, processor: type[Processor], findings: Findings) -> None:
        self._places, self._scope, self._processor, self._findings = places, scope, processor, findings
        self._channel, self._for_many = channel_of(processor) or "", issubclass(processor, BroadcastProcessor)
        self._db = places.of(processor)

    def check(self, page: Page, claims: Mapping[int, UUID]) -> int:
        """Compare the messages of the claimed events of a page; how many there were."""
        events = {row.id: row for row in page.rows if claims.get(row.position) == row.id}
        found = self._rows(list(events))
        missing = self._missing(events, found)
        for event_id, row in events.items():
            for kind, what, expected, is_ in faults(missing.get(event_id, ()), found.get(event_id, ())):
                self._add(kind, what, row.position, event_id, expected, is_)
        if self._for_many:
            for event_id, kind, what, expected, is_ in broadcasts.faults(self._db, self._channel, list(events)):
                self._add(kind, what, events[event_id].position, event_id, expected, is_)
        return sum(row.number for rows in found.values() for row in rows)

    def _missing(
        self, events: Mapping[UUID, Logged], found: Mapping[UUID, Sequence[Rows]]
    ) -> Mapping[UUID, Sequence[Notice]]:
        """The messages of each event that were told neither by it nor by another of the same matter."""
        channel = self._channel
        none = {id_: wordless(notices_for(row.type, channel), found.get(id_, ())) for id_, row in events.items()}
        asked = [(events[id_].position, notice) for id_, notices in none.items() for notice in notices]
        told = rightly(self._scope.settings, self._db, self._processor, channel, asked)
        return {id_: [one for one in notices if (id_, one.template) not in told] for id_, notices in none.items()}

    def _rows(self, ids: Sequence[UUID]) -> dict[UUID, list[Rows]]:
        found: dict[UUID, list[Rows]] = {}
        for row in self._db.execute(_ROWS, {"channel": self._channel, "ids": list(ids)}) if ids else ():
            found.setdefault(row[0], []).append(Rows(*row))
        return found

    def check_idle(self) -> None:
        """Messages that no run will send: their event has no attempt to come, and no dead letter."""
        db, after, late = self._db, UUID(int=0), self._late()
        while True:
            given: dict[str, Any] = {"channel": self._channel, "since": self._scope.since}
            given |= {"late": late, "after": after}
            given |= {"many": [notice.template for notice in NOTICES if notice.for_many], "for_many": self._for_many}
            rows = db.execute(_IDLE, {**given, "limit": PAGE}).fetchall()
            traces, former = self._traces([row[1] for row in rows])
            for _, position, event_id, template, state in rows:
                if position not in traces and position not in former:  # a claim beside it is told of with the claim
                    what = f"its message {template} is {state}, and no run will send it"
                    self._add("stuck", what, position, event_id, None, state)
            if len(rows) < PAGE:
                return
            after = rows[-1][0]

    def _late(self) -> datetime | None:
        """What was due before this time is late."""
        limit = max(self._scope.patience(self._processor), self._scope.settings.notification_lease)
        (late,) = self._db.execute(_LATE, (limit,)).fetchone() or (None,)
        return late

    def check_digests(self) -> None:
        """Digests that no run sends, and gathered messages that are in none. A channel's are looked at once."""
        if not self._for_many:
            late = self._late()
            for kind, what, position, number in digests.faults(self._db, self._channel, self._scope.since, late):
                self._add(kind, what, position, None, 0, number)

    def _traces(self, positions: Sequence[int]) -> tuple[Traces, Traces]:
        """The traces of these events, and those that they left in the processor that had them before."""
        former = processors().get(self._processor.takes_over or "")
        now = traces_at(self._places, self._processor, positions)
        return now, traces_at(self._places, former, positions) if former else now

    def check_shared(self) -> None:
        """No two people's messages may be one message of their provider's. A channel's messages are compared once."""
        if self._for_many:
            return
        given = {"channel": self._channel, "since": self._scope.since}
        for provider, count, position in self._db.execute(_SHARED, given).fetchall():
            what = f"messages to several people have one message id of {provider}"
            self._add("double", what, position, None, 1, count)

    def _add(self, kind: Kind, what: str, position: int, event_id: UUID | None, expected: Any, found: Any) -> None:
        name = self._processor.name
        self._findings.add(Finding(kind, name, what, position, event_id, expected=expected, found=found))


def channel_of(processor: type[Processor]) -> str | None:
    """The channel of a processor that keeps our ledger; None for any other."""
    return getattr(processor, "channel", None) if processor.__module__.startswith("fundlyhub.") else None
