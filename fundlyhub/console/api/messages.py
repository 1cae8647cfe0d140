"""The ledger of messages: lists, one message and what became of it, its text, and settling one of unknown outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from fundlyhub.console.api.fields import Given, Listed, Page, Reason, Why, all_of
from fundlyhub.console.api.routing import Call, route
from fundlyhub.console.pages.messages import about, listed, printed, sent_to, settle_one, the_one
from fundlyhub.processors.notifications.ledger.search import Found, Wanted


class Asked(Listed):
    """Which messages. Without user, event or donation a state that wants attention; ``unknown``, if none is given."""

    state: Annotated[str | None, Field(pattern="^[a-z ]{1,40}$")] = None
    user: UUID | None = None
    event: UUID | None = None
    donation: UUID | None = None


class Address(Given):
    """An e-mail address, or a number as in +491701234567. It is hashed, and kept nowhere."""

    address: Annotated[str, StringConstraints(min_length=1, max_length=320, pattern=r"^[^\x00]*$")]


class One(Given):
    """A message's id."""

    id: UUID


class Step(BaseModel):
    """What became of a message at a time."""

    at: datetime
    what: str
    details: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeMessage(Found):
    """A message, what became of it, the others of its event, and the open dead letter whose replay would send it."""

    story: list[Step]
    others: Sequence[Found]
    letter: int | None


class Settling(Given):
    """What became of it, and how you know."""

    outcome: Literal["sent", "not sent"]
    reason: Reason


class Settled(BaseModel):
    """``changed`` is false if its outcome was not unknown any more."""

    id: UUID
    changed: bool


class Printed(BaseModel):
    """The texts of a message; a part that its channel does not have is empty."""

    subject: str
    text: str
    html: str


@route("GET", "/messages")
def messages(call: Call, params: Asked) -> Page[Found]:
    """List messages, the newest change first. The ledger holds no addresses."""
    names_any = params.user or params.event or params.donation
    state = params.state or (None if names_any else "unknown")
    wanted = Wanted(user=params.user, event=params.event, donation=params.donation, state=state)
    found, more = listed(call, wanted, params.limit, params.page)
    return Page[Found](items=list(found), next=more)


@route("POST", "/messages/to-address", "operator")
def to_address(call: Call, body: Address) -> Page[Found]:
    """List the newest messages to an address."""
    return Page[Found](items=list(sent_to(call, body.address.strip())), next=None)


@route("GET", "/messages/{id}")
def message(call: Call, params: One) -> WholeMessage:
    """Show one message and what became of it; without its text."""
    one = the_one(call, params.id)
    story, others, letter = about(call, one)
    steps = [Step(at=at, what=what, details=details) for at, what, details in story]
    return WholeMessage(**all_of(one), story=steps, others=others, letter=letter)


@route("POST", "/messages/{id}/text", "privacy")
def text(call: Call, params: One, body: Why) -> Printed:
    """Show a message as its recipient saw it, rendered anew. Who looked, and why, is recorded first."""
    found = printed(call, the_one(call, params.id), body.reason)
    return Printed(subject=found.subject, text=found.text, html=found.html)


@route("POST", "/messages/{id}/settle", "operator")
def settle(call: Call, params: One, body: Settling) -> Settled:
    """Settle a message of unknown outcome: one that was sent is never sent again."""
    return Settled(id=params.id, changed=settle_one(call, the_one(call, params.id), body.outcome, body.reason))
