"""Checks that every event that a processor wants has a claim, a dead letter, or a row of attempts.

What is in the way of that is looked at twice, since a trace may come, or take another one's place, between two
statements: a fault is what is there both times.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple
from uuid import UUID

from fundlyhub.processing.processor import Processor
from fundlyhub.processing.routing import wanting
from fundlyhub.relay.unsettled import AT, HELD
from fundlyhub.verification import log
from fundlyhub.verification.findings import Finding, Findings, Kind
from fundlyhub.verification.log import Logged, Page
from fundlyhub.verification.scope import Places

_CLAIMS = "SELECT position, event_id FROM processed_events WHERE processor = %(processor)s AND {where}"
_BETWEEN = "position > %(after)s AND position <= %(until)s"
_BEYOND = """
    SELECT position FROM processed_events WHERE processor = %(processor)s AND position > %(after)s
    ORDER BY position LIMIT %(limit)s
"""


_TEXTS = {
    "not in the log": "claimed, and the log has no event there: has it lost its tail?",
    "another event": "the claim is that of another event: was the log restored to an earlier time?",
    "another's letter": "its dead letter is that of another event: was the log restored to an earlier time?",
    "claim and dead letter": "applied, and an open dead letter too: discard it",
}


class Letter(NamedTuple):
    """A dead letter that is not resolved."""

    state: str
    event_id: UUID


@dataclass(frozen=True, slots=True)
class Traces:
    """What some events of a processor have left."""

    claims: Mapping[int, UUID]
    letters: Mapping[int, Letter]
    attempts: AbstractSet[int]

    def __contains__(self, position: int) -> bool:
        """Whether an event has left any trace."""
        return position in self.claims or position in self.letters or position in self.attempts

    def rests(self, position: int) -> bool:
        """Whether a dead letter is all that an event has left."""
        return position in self.letters and position not in self.claims and position not in self.attempts


class Fault(NamedTuple):
    """What is wrong at a position."""

    position: int
    what: Literal["no trace", "not in the log", "another event", "another's letter", "claim and dead letter"]


def faults(rows: Sequence[Logged], wanted: AbstractSet[int], traces: Traces) -> Iterator[Fault]:
    """What is wrong with the traces of these events, and of those that the log has not got. Pure."""
    ids = {row.position: row.id for row in rows}
    for position in sorted(wanted):
        if position not in traces:
            yield Fault(position, "no trace")
        elif traces.rests(position) and traces.letters[position].event_id != ids[position]:
            yield Fault(position, "another's letter")
    for position, event_id in sorted(traces.claims.items()):
        if position not in ids:
            yield Fault(position, "not in the log")
        elif event_id != ids[position]:
            yield Fault(position, "another event")
        letter = traces.letters.get(position)
        if letter and letter.state == "open" and letter.event_id == event_id:
            yield Fault(position, "claim and dead letter")


def traces_at(places: Places, processor: type[Processor], positions: Sequence[int]) -> Traces:
    """The traces of the events at these positions."""
    return _traces(places, processor, AT, {"positions": list(positions)})


def _traces(places: Places, processor: type[Processor], where: str, given: Mapping[str, Any]) -> Traces:
    """What is held first, then the claims: an attempt is forgotten only after its claim was committed."""
    given = {"processor": processor.name, **given}
    held = places.events.execute(HELD.format(where=where), given).fetchall()
    claims = places.of(processor).execute(_CLAIMS.format(where=where), given).fetchall()
    return Traces(
        dict(claims),
        {position: Letter(state, event_id) for position, state, event_id in held if state is not None},
        {position for position, state, _ in held if state is None},
    )


@dataclass(slots=True)
class Open:
    """Positions of one processor: those without a trace, and those whose claim or letter is another event's."""

    untraced: array[int] = field(default_factory=lambda: array("q"))
    misclaimed: array[int] = field(default_factory=lambda: array("q"))


class Tracer:
    """Compares one processor's traces with pages of the log. ``start`` is the position after which it wants events."""

    def __init__(self, places: Places, processor: type[Processor], start: int, findings: Findings) -> None:
        self._places, self._processor, self._start, self._findings = places, processor, start, findings
        self._wants = wanting(processor)
        self.open = Open()

    def check(self, page: Page) -> Mapping[int, UUID]:
        """Compare a page; the claims on it are returned."""
        if page.whole:
            between = {"after": page.after, "until": page.until}
            traces = _traces(self._places, self._processor, _BETWEEN, between)
        else:
            traces = traces_at(self._places, self._processor, [row.position for row in page.rows])
        found = set(faults(page.rows, self._wanted(page.rows), traces))
        if found:
            self._note(found & self._again(sorted({fault.position for fault in found})), traces)
        return traces.claims

    def check_beyond(self, last: int) -> None:
        """Claims above the end of the log: it has lost its tail, unless their events have come meanwhile."""
        while True:
            given = {"processor": self._processor.name, "after": last, "limit": log.PAGE}
            positions = [position for (position,) in self._places.of(self._processor).execute(_BEYOND, given)]
            if not positions:
                return
            known = {row.position for row in log.at(self._places.events, positions)}
            if lost := [position for position in positions if position not in known]:
                found = {Fault(position, "not in the log") for position in lost}
                self._note(found & self._again(lost), traces_at(self._places, self._processor, lost))
            last = positions[-1]

    def _wanted(self, rows: Sequence[Logged]) -> set[int]:
        return {row.position for row in rows if row.position > self._start and self._wants(row.type)}

    def _again(self, positions: Sequence[int]) -> set[Fault]:
        rows = log.at(self._places.events, positions)
        return set(faults(rows, self._wanted(rows), traces_at(self._places, self._processor, positions)))

    def _note(self, found: AbstractSet[Fault], traces: Traces) -> None:
        name = self._processor.name
        rows = {row.position: row for row in log.at(self._places.events, sorted(fault.position for fault in found))}
        for position, what in sorted(found):
            row, claimed = rows.get(position), traces.claims.get(position)
            event_id = row.id if row else claimed
            if what == "no trace":
                self.open.untraced.append(position)
                continue
            other = None
            if what in ("another event", "another's letter"):
                self.open.misclaimed.append(position)
                other = claimed if what == "another event" else traces.letters[position].event_id
            kind: Kind = "double" if what == "claim and dead letter" else "different"
            expected = event_id if other else None
            self._findings.add(
                Finding(
                    kind, name, _TEXTS[what], position, event_id, expected=expected, found=other,
                    repairable=other is not None,
                )
            )  # fmt: skip
