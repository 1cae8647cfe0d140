"""The log: lists of events, what an id stands for, the story of one event, and its payload against a reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

import orjson
from pydantic import AwareDatetime, BaseModel, Field

from fundlyhub.console.api.fields import Given, Id, Listed, Page, Raw, Text, Why, all_of
from fundlyhub.console.api.routing import Call, route
from fundlyhub.console.pages.events import STRETCHES, event_at, parameters, position_of, shown, told
from fundlyhub.errors import WrongState
from fundlyhub.history.finding import LoggedEvent, Wanted, find
from fundlyhub.history.searching import meaning
from fundlyhub.history.story import Entry
from fundlyhub.processing.dead_letters import Letter


class Asked(Listed):
    """Which events; what is not given does not count."""

    type: Annotated[
        Text | None, Field(description="A type or a pattern, such as `donation.*`; several with spaces.")
    ] = None
    aggregate: Text | None = None
    aggregate_type: Text | None = None
    correlation: UUID | None = None
    causation: UUID | None = None
    trace: Annotated[str | None, Field(pattern="^[0-9a-f]{32}$")] = None
    since: Annotated[AwareDatetime | None, Field(description="Recorded then or later.")] = None
    until: Annotated[AwareDatetime | None, Field(description="Recorded before.")] = None


class Events(Page[LoggedEvent]):
    """Events, the newest first. ``looked_through``: the page ends here since that much of the log was looked through.

    ``not_known`` says what could not be looked up.
    """

    looked_through: bool
    not_known: str | None


class Sought(Given):
    """An id of any kind, or the beginning of an event's or a message's."""

    id: Text


class Meant(BaseModel):
    """What an id stands for: events, or (``list``) parameters for the list of events. ``kind`` says of what."""

    kind: str
    events: Sequence[LoggedEvent]
    list: dict[str, str] | None


class Told(BaseModel):
    """As `fundlyhub events story --json` has it, and the event's dead letters. ``caused`` are positions."""

    event: LoggedEvent
    entries: Sequence[Entry]
    caused: list[int]
    looked_up_to: int | None
    letters: Sequence[Letter]


class At(Given):
    """A position in the log."""

    position: Id


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents(LoggedEvent):
    """An event and what it says, as `fundlyhub events show --payload --json` has it."""

    payload: Raw
    metadata: Raw


@route("GET", "/events")
def events(call: Call, params: Asked) -> Events:
    """List events of the log, the newest first."""
    wanted = Wanted(
        tuple((params.type or "").split()), params.aggregate_type, params.aggregate, params.correlation,
        params.causation, params.since, params.until, position_of(params.page) if params.page else None,
        trace_id=params.trace,
    )  # fmt: skip
    with call.log() as db:
        page = find(db, wanted, limit=params.limit, stretches=STRETCHES)
    after = None if page.next is None else str(page.next)
    return Events(items=page.events, next=after, looked_through=page.looked_through, not_known=page.not_known)


@route("GET", "/events/search")
def search(call: Call, params: Sought) -> Meant:
    """Find what an id stands for: a position, an event, a message, a correlation, an aggregate or a trace."""
    with call.log() as db:
        found = meaning(db, params.id.strip(), stretches=STRETCHES)
    listed = None if found.wanted is None else parameters(found.wanted)
    return Meant(kind=found.kind, events=found.events, list=listed)


@route("GET", "/events/{position}")
def story(call: Call, params: At) -> Told:
    """Tell everything that is known about an event, in order of time; without its payload."""
    tale, letters = told(call, params.position)
    return Told(
        event=tale.event, entries=tale.entries, caused=[one.position for one in tale.caused],
        looked_up_to=tale.looked_up_to, letters=letters,
    )  # fmt: skip


@route("POST", "/events/{position}/payload", "privacy")
def payload(call: Call, params: At, body: Why) -> Contents:
    """Show payload and metadata of an event. Who looked, and why, is recorded first."""
    found = shown(call, params.position, body.reason)
    if found is None:
        raise WrongState("the event is not in the log any more")
    event = event_at(call, params.position)
    said, metadata = map(orjson.Fragment, found)
    return Contents(**all_of(event), payload=said, metadata=metadata)
