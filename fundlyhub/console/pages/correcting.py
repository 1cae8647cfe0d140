"""Correcting the payload of a dead letter: it is checked as at the door, the difference is shown, then it is saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from starlette.responses import Response

from fundlyhub.console.access import Access
from fundlyhub.console.pages.letters import require
from fundlyhub.console.visits import Visit, page
from fundlyhub.database import disclosed, get_engine
from fundlyhub.database.audited import reasoned
from fundlyhub.errors import InvalidEvent, WrongState, WrongUse
from fundlyhub.events.encoding import dumps
from fundlyhub.events.log import decode
from fundlyhub.events.rules import parse_json
from fundlyhub.printable import printable_json
from fundlyhub.processing import dead_letters
from fundlyhub.processing.dead_letters import Corrected, Draft

SHOWN = 300
"""Characters of a value in the list of differences."""

Difference = tuple[str, str, str]
"""The name of a field, its value before and after."""


@page("/letters/{letter}/edit", "privacy", "POST")
def edit(visit: Visit) -> Response:
    """The payload in a form, after a line in the audit says who asked, and why."""
    require(visit, visit.number("letter"))
    id, reason = visit.number("letter"), reasoned(visit.field("reason"))
    with visit.transaction() as db:
        draft = dead_letters.draft(db, id)
        disclosed.note(db, who=visit.who, command="console letters", what=f"dead letter {id}, to edit it: {reason}")
    return _form(visit, draft, printable_json(dumps(_readable(draft), pretty=True, whole=True).decode()), reason)


@page("/letters/{letter}/check", "privacy", "POST")
def check(visit: Visit) -> Response:
    """Check what was typed, and show what differs; with ``save`` keep it. Nothing is kept that is wrong."""
    require(visit, visit.number("letter"))
    id, text, reason = visit.number("letter"), visit.field("payload"), reasoned(visit.field("reason"))
    with visit.transaction() as db:
        draft = dead_letters.draft(db, id)
    try:
        payload = parse_json(text)
        as_of = _moment(visit.field("as_of"))
        done = correct(visit, id, payload, reason, as_of=as_of, is_saved=bool(visit.field("save")))
    except InvalidEvent as error:
        return _form(visit, draft, text, reason, faults=error.reasons, status=422)
    if not visit.field("save"):
        return _form(visit, draft, text, reason, done=done, differences=_differences(draft, payload, done))
    return visit.go(f"/letters/{id}", f"Saved ({', '.join(done.changed) or 'nothing differs'}). Replay it now.")


@page("/letters/{letter}/undo", "operator", "POST")
def undo(visit: Visit) -> Response:
    """Let the event's own payload count again."""
    id = visit.number("letter")
    take_back(visit, id, visit.field("reason"))
    return visit.go(f"/letters/{id}", "The event's own payload counts again.")


def correct(
    access: Access, id: int, payload: Any, reason: str, *, as_of: datetime | None, is_saved: bool
) -> Corrected:  # fmt: skip
    """Correct a letter's payload, or with ``is_saved`` False only check it: the same function, taken back.

    Raises InvalidEvent for a payload that is wrong.
    """
    with get_engine("events").connect() as db, db.begin() as begun:
        done = dead_letters.correct(db, id, payload, who=access.who, reason=reason, as_of=as_of)
        if not is_saved:
            begun.rollback()
    return done


def take_back(access: Access, id: int, reason: str) -> None:
    """Let the event's own payload count again. Raises Refusal if there is no such letter."""
    require(access, id)
    with access.transaction() as db:
        dead_letters.undo(db, id, who=access.who, reason=reason)


def _form(
    visit: Visit, draft: Draft, text: str, reason: str, *, faults: Sequence[str] = (), done: Corrected | None = None,
    differences: Sequence[Difference] = (), status: int = 200,
) -> Response:  # fmt: skip
    as_of = visit.field("as_of") or draft.as_of.isoformat()
    return visit.page(
        "letter_edit.html", status, letter=draft.letter, text=text, reason=reason, as_of=as_of, faults=faults,
        done=done, differences=differences,
    )  # fmt: skip


def _differences(draft: Draft, payload: Mapping[str, Any], done: Corrected) -> list[Difference]:
    before: Mapping[str, Any] = {}
    with suppress(InvalidEvent):
        before = decode(draft.payload)
    return [(name, _value(before, name), _value(payload, name)) for name in done.changed]


def _value(payload: Mapping[str, Any], name: str) -> str:
    if name not in payload:
        return "–"
    text = dumps(payload[name], whole=True).decode()
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} …"


def _readable(draft: Draft) -> Any:
    if draft.payload is None:
        raise WrongState("it is too large to be edited here: `fundlyhub dlq edit --payload` takes a whole one")
    return decode(draft.payload)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise WrongUse("open the letter anew")
    return moment
