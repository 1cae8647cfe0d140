"""Dead letters: groups of one fault, letters, one letter, its payload and its correction; discard and restore."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
from pydantic import AwareDatetime, BaseModel, Field

from fundlyhub.console import choosing
from fundlyhub.console.api.fields import Given, Id, Listed, Page, Raw, Reason, Text, Why, all_of
from fundlyhub.console.api.routing import Call, route
from fundlyhub.console.pages.correcting import correct, take_back
from fundlyhub.console.pages.letters import COUNTED, LOOKED_AT, faults, listed, require, seen
from fundlyhub.console.pages.letters import behind as harm_behind
from fundlyhub.database.audited import AuditEntry
from fundlyhub.processing import dead_letters
from fundlyhub.processing.dead_letters import Changes, Filter, Group, Harm, Letter, Shown, State
from fundlyhub.processing.dead_letters.showing import Envelope

Ids = Annotated[list[Id], Field(min_length=1, max_length=choosing.MOST)]


class Chosen(Given):
    """Which letters; what is not given does not count."""

    processor: Text | None = None
    type: Text | None = None
    error: Annotated[Text | None, Field(description="The class of the error.")] = None
    fingerprint: Annotated[Text | None, Field(description="Of the fault, or its beginning.")] = None
    aggregate: Annotated[Text | None, Field(description="`TYPE/ID` or `ID`.")] = None
    state: State = "open"


class Asked(Chosen, Listed):
    """Which letters, and which page of them."""


class Faults(BaseModel):
    """Faults. ``is_all``: these are all, with all their letters; no more than ``counted`` letters are counted."""

    groups: Sequence[Group]
    is_all: bool
    counted: int


class Behind(BaseModel):
    """What waits behind the letters of a fault, as their events say. ``letters`` were looked at, ``most`` at most.

    ``things`` counts what the events are about, by kind.
    """

    harm: Harm
    things: Mapping[str, int]
    most: int


class One(Given):
    """A letter's id."""

    letter: Id


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeLetter(Letter):
    """A letter as `fundlyhub dlq show --json` has it. ``traceback`` is for the level operator; ``absence`` says why
    there is no event; ``others`` are letters of the same event."""

    traceback: str | None
    timeline: Sequence[AuditEntry]
    event: Envelope | None
    absence: str | None
    others: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterAndPayload(WholeLetter):
    """A letter, what its event says, and the payload that counts in its place, if it was corrected.

    All three are null where the event is not in the log any more.
    """

    payload: Raw
    metadata: Raw
    corrected_payload: Raw


class Undecided(BaseModel):
    """A letter that was not changed, and its state, or ``unknown``: as `fundlyhub dlq … --json` has it."""

    id: int
    state: str


class Decided(BaseModel):
    """What a decision about letters changed and what it did not."""

    changed: list[int]
    unchanged: list[Undecided]


class Correction(Given):
    """A new payload. ``as_of`` is the letter's ``changed_at`` when you looked: then a later change is not lost."""

    payload: Any
    reason: Reason
    as_of: AwareDatetime | None = None
    dry_run: bool = False


class Corrected(BaseModel):
    """Names of fields: which differ now, and which the type does not know."""

    id: int
    dry_run: bool
    changed: Sequence[str]
    ignored: Sequence[str]


class Undone(BaseModel):
    """The event's own payload counts again."""

    id: int
    undone: bool


class Deciding(Given):
    """Which letters, and why."""

    ids: Ids
    reason: Reason


def filter_of(params: Chosen, page: str | None = None) -> Filter:
    """The filter that parameters stand for."""
    given = {name: getattr(params, name) for name in choosing.FIELDS}
    return choosing.as_filter(given, params.state, page)


@route("GET", "/letters/groups")
def groups(call: Call, params: Chosen) -> Faults:
    """List the faults, the one with the most letters first."""
    found, is_all = faults(call, filter_of(params))
    return Faults(groups=found, is_all=is_all, counted=COUNTED)


@route("GET", "/letters/behind")
def behind(call: Call, params: Chosen) -> Behind:
    """Show what waits behind letters, of one fault as a rule: people, campaigns and money. It is kept for a minute."""
    found, things = harm_behind(call, filter_of(params))
    return Behind(harm=found, things=dict(things), most=LOOKED_AT)


@route("GET", "/letters")
def letters(call: Call, params: Asked) -> Page[Letter]:
    """List letters, the newest failure first."""
    found, more = listed(call, filter_of(params, params.page), params.limit)
    return Page[Letter](items=list(found), next=more)


@route("GET", "/letters/{letter}")
def letter(call: Call, params: One) -> WholeLetter:
    """Show one letter: its error, its event and its history; without its payload."""
    return WholeLetter(**_whole(call, *seen(call, params.letter)))


@route("POST", "/letters/{letter}/payload", "privacy")
def payload(call: Call, params: One, body: Why) -> LetterAndPayload:
    """Show one letter with the payload of its event. Who looked, and why, is recorded first."""
    found, others = seen(call, params.letter, reason=body.reason)
    said = found.content
    texts = (said.payload, said.metadata, said.corrected_payload) if said else (None, None, None)
    payload, metadata, instead = map(_raw, texts)
    whole = _whole(call, found, others)
    return LetterAndPayload(**whole, payload=payload, metadata=metadata, corrected_payload=instead)


@route("POST", "/letters/{letter}/correction", "privacy")
def correction(call: Call, params: One, body: Correction) -> Corrected:
    """Correct the payload of a letter's event, for its processor; with dry_run only check it. Then replay it."""
    require(call, params.letter)
    new = call.sent["payload"]
    done = correct(call, params.letter, new, body.reason, as_of=body.as_of, is_saved=not body.dry_run)
    return Corrected(id=params.letter, dry_run=body.dry_run, changed=done.changed, ignored=done.ignored)


@route("POST", "/letters/{letter}/undo", "operator")
def undo(call: Call, params: One, body: Why) -> Undone:
    """Take a correction back."""
    take_back(call, params.letter, body.reason)
    return Undone(id=params.letter, undone=True)


@route("POST", "/letters/discard", "operator")
def discard(call: Call, body: Deciding) -> Decided:
    """Discard letters. Nothing is deleted: they can be restored."""
    with call.transaction() as db:
        done = dead_letters.discard(db, body.ids, who=call.who, reason=body.reason)
    return _decided(call, done)


@route("POST", "/letters/restore", "operator")
def restore(call: Call, body: Deciding) -> Decided:
    """Open discarded letters again."""
    with call.transaction() as db:
        done = dead_letters.restore(db, body.ids, who=call.who, reason=body.reason)
    return _decided(call, done)


def undecided(unchanged: Mapping[int, str]) -> list[Undecided]:
    """Letters that are not changed, for an answer."""
    return [Undecided(id=id, state=state) for id, state in unchanged.items()]


def _decided(call: Call, done: Changes) -> Decided:
    call.site.forget()
    return Decided(changed=list(done.changed), unchanged=undecided(done.unchanged))


def _whole(call: Call, found: Shown, others: Sequence[int]) -> dict[str, Any]:
    return {
        **all_of(found.letter), "traceback": found.traceback if call.may("operator") else None,
        "timeline": found.timeline, "event": found.event, "absence": found.absence, "others": others,
    }  # fmt: skip


def _raw(text: str | None) -> orjson.Fragment | None:
    return None if text is None else orjson.Fragment(text)
