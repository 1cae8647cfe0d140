"""Messages to people: the ledger, one message and what became of it, and settling one of unknown outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from starlette.responses import HTMLResponse, Response

from fundlyhub.console.access import Access
from fundlyhub.console.rendering import render
from fundlyhub.console.visits import Visit, page
from fundlyhub.database.audited import reasoned
from fundlyhub.database.console_audit import note as note_decision
from fundlyhub.database.disclosed import note
from fundlyhub.errors import FundlyHubError, WrongState, WrongUse
from fundlyhub.events import Event
from fundlyhub.events.reading import read_in_portions
from fundlyhub.processing import reruns
from fundlyhub.processors.notifications.ledger.search import After, Found, Wanted, find
from fundlyhub.processors.notifications.ledger.state import STATES
from fundlyhub.processors.notifications.reprint import Reprint, reprint
from fundlyhub.processors.notifications.resending import Resent, processor_of, resends
from fundlyhub.processors.notifications.settling import settle
from fundlyhub.web.refusals import Refusal

ROWS = 50
INDEXED = ("queued", "sending", "failed", "unknown")
"""States of which all messages can be listed: few messages are in them, and they have an index."""
FRAME = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; "
                               "form-action 'none'; base-uri 'none'; frame-ancestors 'self'",
    "X-Frame-Options": "SAMEORIGIN",
}  # fmt: skip
"""What a rendered message may do in its frame: have its looks, and nothing else."""


Step = tuple[datetime, str, str]
"""When something became of a message, what, and why."""


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters as the form shows them again. An address is never among them."""

    state: str = ""
    user: str = ""
    event: str = ""
    donation: str = ""


@page("/messages")
def messages(visit: Visit) -> Response:
    """The ledger: messages in a state that wants attention, or those of a user, an event or a donation."""
    filters = Filters(*(visit.given(name)[:100] for name in ("state", "user", "event", "donation")))
    user, event, donation = (_uuid(getattr(filters, name), name) for name in ("user", "event", "donation"))
    if not (user or event or donation or filters.state):
        filters = Filters(state="unknown")
    wanted = Wanted(user=user, event=event, donation=donation, state=filters.state or None)
    found = listed(visit, wanted, ROWS, visit.given("after"))[0]
    return _list(visit, filters, found)


@page("/messages/to-address", "operator", "POST", asks_why=False)
def to_address(visit: Visit) -> Response:
    """Messages to an address, which is in no address of a page, in no log, and in no table: it is hashed."""
    return _list(visit, Filters(), sent_to(visit, visit.field("address")), by_address=True)


@page("/messages/{id}")
def message(visit: Visit) -> Response:
    """One message, what became of it, and the others of its event."""
    one = _the_one(visit)
    story, others, letter = about(visit, one)
    return visit.page("message.html", one=one, story=story, others=others, letter=letter)


@page("/messages/{id}/settle", "operator", "POST")
def settled(visit: Visit) -> Response:
    """Settle a message of unknown outcome: it was sent, or it was not."""
    one, outcome = _the_one(visit), visit.field("outcome")
    done = settle_one(visit, one, outcome, visit.field("reason"))
    said = f"It is settled as {outcome}." if done else "Its outcome was not unknown any more; nothing was changed."
    return visit.go(f"/messages/{one.id}", said)


@page("/messages/{id}/shown", "privacy", "POST")
def shown(visit: Visit) -> Response:
    """The message as its recipient saw it, for a frame. Who looked, and why, is recorded first."""
    one = _the_one(visit)
    try:
        text = printed(visit, one, visit.field("reason"))
    except FundlyHubError as error:
        return _frame(visit, error=str(error))
    return _frame(visit, html=text.html) if text.html else _frame(visit, printed=text)


def listed(access: Access, wanted: Wanted, limit: int, page: str | None) -> tuple[Sequence[Found], str | None]:
    """Messages of the ledger, and what leads to the page after them. Raises WrongUse for what is too much to list."""
    if wanted.state not in (None, *STATES):
        raise WrongUse(f"there is no such state; there are {', '.join(STATES)}")
    if not wanted.names_somebody and wanted.state not in INDEXED:
        raise WrongUse(f"name a user, an event or a donation: only messages that are {', '.join(INDEXED)} can be "
                       "listed without")  # fmt: skip
    with access.transaction("app") as db:
        found = find(db, wanted, b"", limit, after=_after(page or ""))
    return found, _place(found[-1]) if len(found) == limit else None


def sent_to(access: Access, address: str) -> Sequence[Found]:
    """The newest messages to an address. Raises WrongUse for what is none."""
    if not address or len(address) > 320:
        raise WrongUse("type an e-mail address, or a number as in +491701234567")
    with access.transaction("app") as db:
        return find(db, Wanted(address=address), access.site.settings.secret, ROWS)


def about(access: Access, one: Found) -> tuple[list[Step], list[Found], int | None]:
    """What became of a message, the other messages of its event, and the open dead letter that would send it."""
    with access.transaction("app") as db:
        again = resends(db, one.id)
        others = [other for other in find(db, Wanted(event=one.event_id), b"", ROWS) if other.id != one.id]
    with access.transaction() as log:
        return _story(one, again), others, reruns.open_letter(log, processor_of(one), one.position)


def settle_one(access: Access, one: Found, outcome: str, reason: str) -> bool:
    """Settle a message as ``sent`` or ``not sent``; False if its outcome was not unknown. Raises WrongUse."""
    reason = reasoned(reason)
    if outcome not in ("sent", "not sent"):
        raise WrongUse("say whether it was sent")
    with access.transaction("app") as db:
        done = settle(db, one.id, sent=outcome == "sent", who=access.who, reason=reason)
        if done:
            with access.transaction() as log:
                note_decision(log, f"message {one.id}", who=access.who, action=f"settled as {outcome}", details=reason)
    return done


def printed(access: Access, one: Found, reason: str) -> Reprint:
    """A message as its recipient saw it, once the audit has noted who looks and why. Raises WrongState and WrongUse."""
    with access.transaction() as log:
        note(log, who=access.who, command="console: messages", what=f"message {one.id} as text: {reasoned(reason)}")
    with access.transaction() as log:
        rows = [row for portion in read_in_portions(log, [one.position]) for row in portion]
    if not rows or rows[0].id != one.event_id:
        raise WrongState("its event is not in the log: restore it first (`fundlyhub events archives`)")
    with access.transaction("app") as db:
        return reprint(db, one, Event.stored(rows[0]), access.site.settings)


def the_one(access: Access, id: UUID) -> Found:
    """The message of this id. Raises Refusal if there is none."""
    with access.transaction("app") as db:
        found = find(db, Wanted(ids=[id]), b"", 1)
    if not found:
        raise Refusal(404, "there is no such message")
    return found[0]


def _frame(visit: Visit, *, html: str = "", **values: object) -> Response:
    body = html or render("message_text.html", **{"printed": None, "error": "", **values})
    return HTMLResponse(body, headers=FRAME)


def _list(visit: Visit, filters: Filters, found: Sequence[Found], *, by_address: bool = False) -> Response:
    last = found[-1] if len(found) == ROWS and not by_address else None
    return visit.page(
        "messages.html", filters=filters, found=found, by_address=by_address, states=STATES, indexed=INDEXED,
        next=_place(last) if last else None, rows=ROWS,
    )  # fmt: skip


def _story(one: Found, again: Sequence[Resent]) -> list[Step]:
    """When what became of it, in order: the ledger keeps the first and the last, and each time it was sent again."""
    lines = [(one.created_at, "written down", f"for event {one.event_id}")]
    for sending in again:
        if sending.sent_at:
            lines.append((sending.sent_at, "accepted by its provider", ""))
        lines.append((sending.at, f"sent again by {sending.who}, when it was {sending.state}", sending.reason))
    if one.sent_at:
        lines.append((one.sent_at, "accepted by its provider", one.provider or ""))
    lines.append((one.changed_at, one.state, one.reason or ""))
    return sorted(lines, key=lambda line: line[0])


def _the_one(visit: Visit) -> Found:
    try:
        id = UUID(visit.path("id"))
    except ValueError:
        raise Refusal(404, "there is no such message") from None
    return the_one(visit, id)


def _uuid(text: str, name: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        raise WrongUse(f"the {name} must be a whole id, such as 019acf30-5a1c-7000-8000-000000000001") from None


def _place(one: Found) -> str:
    return f"{one.changed_at.isoformat()} {one.id}"


def _after(text: str) -> After | None:
    if not text:
        return None
    at, _, id = text.partition(" ")
    try:
        return After(datetime.fromisoformat(at), UUID(id))
    except ValueError:
        raise WrongUse("this page of the list is not there: begin with the first one") from None
