"""The events: what an id stands for, lists by what is asked, the newest as they come, and the story of one."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode
from uuid import UUID

from starlette.responses import Response

from fundlyhub.console.access import Access
from fundlyhub.console.timeline import Timeline, timeline
from fundlyhub.console.visits import Visit, page
from fundlyhub.database import disclosed
from fundlyhub.database.audited import reasoned
from fundlyhub.errors import WrongState, WrongUse
from fundlyhub.history.finding import LoggedEvent, Wanted, find, the_event
from fundlyhub.history.searching import meaning
from fundlyhub.history.story import Entry, Story, contents, story
from fundlyhub.history.times import moment
from fundlyhub.processing import dead_letters
from fundlyhub.processing.dead_letters import Filter, Letter
from fundlyhub.web.refusals import Refusal

SHOWN = 50
STRETCHES = 3
"""How far one page looks through the log, in stretches of ``finding``: some 50 ms. A link goes on from there."""
FILTERS = ("type", "aggregate", "aggregate-type", "correlation", "causation", "trace", "since", "until")
"""The parameters of a list, each with the name of the command's option."""
GAP = 1.0
"""Seconds without an entry that are folded into one line of a story."""


@dataclass(frozen=True, slots=True)
class Line:
    """An entry of a story, with the seconds since the one before it where those are folded."""

    entry: Entry
    gap: float | None
    is_processor: bool
    is_bad: bool
    message: UUID | None = None
    """The message that it is about."""


@page("/events")
def events(visit: Visit) -> Response:
    """A list of the log, or what an id leads to."""
    if name := visit.given("id"):
        return _search(visit, name)
    wanted, faults = _wanted(visit)
    with visit.log() as db:
        page = find(db, wanted, limit=SHOWN, stretches=STRETCHES)
    is_live = wanted == Wanted()
    return visit.page(
        "parts/events.html" if visit.is_fragment else "events.html", page=page, faults=faults, is_live=is_live,
        given={name: visit.given(name) for name in FILTERS}, command=_command(visit), before=visit.given("before"),
    )  # fmt: skip


@page("/events/{position}")
def event(visit: Visit) -> Response:
    """The story of one event."""
    return _story(visit, None)


@page("/events/{position}/payload", "privacy", "POST")
def reveal(visit: Visit) -> Response:
    """The same with payload and metadata, after a line in the audit says who asked, and why."""
    return _story(visit, shown(visit, visit.number("position"), visit.field("reason")))


def _search(visit: Visit, name: str) -> Response:
    with visit.log() as db:
        found = meaning(db, name[:200], stretches=STRETCHES)
    if len(found.events) == 1:
        return visit.go(f"/events/{found.events[0].position}")
    if found.wanted is not None:
        return visit.go(f"/events?{urlencode(parameters(found.wanted))}")
    return visit.page("events_found.html", 200 if found.events else 404, found=found, name=name)


def parameters(wanted: Wanted) -> dict[str, str]:
    """The parameters of a list that shows what an id stands for."""
    values = {
        "correlation": wanted.correlation_id, "causation": wanted.causation_id, "aggregate": wanted.aggregate_id,
        "trace": wanted.trace_id,
    }  # fmt: skip
    return {name: str(value) for name, value in values.items() if value is not None}


def _wanted(visit: Visit) -> tuple[Wanted, dict[str, str]]:
    """What the address asks for, and what is wrong with which parameter; what is wrong does not count."""
    faults: dict[str, str] = {}
    wanted: dict[str, object] = {}
    fields: dict[str, tuple[str, Callable[[str], object]]] = {
        "type": ("types", lambda text: _checked(text.split())), "aggregate": ("aggregate_id", str),
        "aggregate-type": ("aggregate_type", str), "correlation": ("correlation_id", _uuid),
        "causation": ("causation_id", _uuid), "trace": ("trace_id", lambda text: Wanted(trace_id=text).trace_id),
        "since": ("since", moment), "until": ("until", moment), "before": ("before", position_of),
    }  # fmt: skip
    for name, (field, read) in fields.items():
        if text := visit.given(name)[:200]:
            try:
                wanted[field] = read(text)
            except WrongUse as error:
                faults[name] = str(error)
    return Wanted(**wanted), faults  # type: ignore[arg-type]  # each is read as its field's type


def _checked(types: Sequence[str]) -> Sequence[str]:
    return Wanted(types=tuple(types)).types


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise WrongUse("this is no UUID: paste a beginning of one into the search above") from None


def position_of(text: str) -> int:
    """A position of the log, or an id of ours, that a page goes on from. Raises WrongUse for another text."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise WrongUse("this is no position")
    return int(text)


def _command(visit: Visit) -> str:
    options = [f"--{name} {shlex.quote(visit.given(name))}" for name in FILTERS if visit.given(name)]
    return " ".join(["fundlyhub events list", *options])


def event_at(access: Access, position: int) -> LoggedEvent:
    """The event at this position. Raises Refusal if there is none."""
    try:
        with access.log() as db:
            found = the_event(db, str(position))
    except (WrongState, WrongUse) as error:
        raise Refusal(404, str(error)) from None
    if found.position != position:
        raise Refusal(404, "there is no event at this position")
    return found


def told(access: Access, position: int) -> tuple[Story, Sequence[Letter]]:
    """The story of an event, and its dead letters. Raises Refusal if there is no such event."""
    found = event_at(access, position)
    with access.log() as db:
        tale = story(db, found)
    with access.transaction() as tx:
        letters = dead_letters.find(tx, Filter(event_id=found.id, position=position, state=None), limit=SHOWN)
    return tale, letters


def shown(access: Access, position: int, reason: str) -> tuple[str, str] | None:
    """Payload and metadata as JSON, after a line in the audit says who asked, and why; None if they are gone."""
    reason, found = reasoned(reason), event_at(access, position)
    with access.transaction() as db:
        disclosed.note(db, who=access.who, command="console events", what=f"event {found.id}: {reason}")
    with access.transaction() as db:
        return contents(db, found)


def _story(visit: Visit, payload: tuple[str, str] | None) -> Response:
    tale, letters = told(visit, visit.number("position"))
    lines = list(_lines(tale.entries, set(visit.site.processors)))
    scale = timeline([line.entry.at for line in lines if line.entry.at is not None])
    return visit.page(
        "event.html", one=tale.event, told=tale, lines=lines, letters=letters, payload=payload, scale=scale,
        lanes=_lanes(lines, scale),
    )  # fmt: skip


def _lanes(lines: Sequence[Line], scale: Timeline | None) -> list[tuple[str, list[tuple[float, bool]]]]:
    """For each place the marks of what happened there: where on the timeline, and whether it is bad."""
    lanes: dict[str, list[tuple[float, bool]]] = {}
    for line in lines:
        if scale is not None and line.entry.at is not None:
            lanes.setdefault(line.entry.where, []).append((scale.x[line.entry.at], line.is_bad))
    return list(lanes.items())


def _lines(entries: Sequence[Entry], processors: set[str]) -> Iterator[Line]:
    last: datetime | None = None
    for entry in entries:
        passed = (entry.at - last).total_seconds() if entry.at is not None and last is not None else 0.0
        is_bad = entry.what.startswith(("dead letter", "failed")) or entry.what in ("failed", "unknown")
        yield Line(entry, passed if passed >= GAP else None, entry.where in processors, is_bad, _message(entry.details))
        last = entry.at or last


def _message(details: str | None) -> UUID | None:
    kind, _, id = (details or "").partition(" ")
    return UUID(id) if kind == "message" else None
