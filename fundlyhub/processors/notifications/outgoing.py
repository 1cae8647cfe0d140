"""Drafts become rows of the ledger, and letters: who is judged to get one, all of a transaction at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.channels.messages import ChannelName
from fundlyhub.events import Event
from fundlyhub.processing import Delivery
from fundlyhub.processors.notifications import contacts
from fundlyhub.processors.notifications.catalogue import LIMITED, Notice
from fundlyhub.processors.notifications.contacts import Person
from fundlyhub.processors.notifications.digests.collecting import Member, gather
from fundlyhub.processors.notifications.ledger import store
from fundlyhub.processors.notifications.ledger.matters import matter_of
from fundlyhub.processors.notifications.ledger.state import Row
from fundlyhub.processors.notifications.ledger.store import Key, Place, Planned
from fundlyhub.processors.notifications.policy import GATHERED, Verdict, judge
from fundlyhub.processors.notifications.rendering.template_values import Facts, Money
from fundlyhub.processors.shared.address_hashes import address_hash

NOBODY = "nobody"
"""The recipient of a message that has none."""


def key_of(notice: Notice, channel: ChannelName, delivery: Delivery) -> Key:
    """What the messages of this event, and of any other of the same matter, have in common in the ledger."""
    return Key(matter_of(notice.matter, delivery.event), channel, notice.template)


@dataclass(frozen=True, slots=True)
class Draft:
    """What an event tells through a channel, and whom; with ``skip``, why it tells nobody."""

    notice: Notice
    channel: ChannelName
    delivery: Delivery
    persons: Sequence[Person] = field(default=(), repr=False)
    facts: Facts = field(default_factory=dict, repr=False)
    skip: str | None = None

    @property
    def key(self) -> Key:
        """What its messages have in common in the ledger."""
        return key_of(self.notice, self.channel, self.delivery)


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that may be sent: its row in the ledger, to whom, where, and what it says. A digest has no delivery."""

    notice: Notice
    channel: ChannelName
    delivery: Delivery | None
    row: Row
    person: Person = field(repr=False)
    address: str = field(repr=False)
    facts: Facts = field(repr=False)

    @property
    def events(self) -> tuple[Event, ...]:
        """The event that waits for it, if one does."""
        return (self.delivery.event,) if self.delivery else ()

    @property
    def replayed_after(self) -> datetime | None:
        """What had failed until then is to be tried once more."""
        return self.delivery.replayed_after if self.delivery else None

    def context(self) -> Context:
        """A context of its own to call the provider in: a context is entered by one thread at a time."""
        return self.delivery.context.copy() if self.delivery else copy_context()


@dataclass(frozen=True, slots=True)
class _Copy:
    """One recipient's address, before it is judged."""

    draft: Draft
    place: Place
    person: Person
    address: str | None

    @property
    def event_id(self) -> UUID:
        """Whose copy it is."""
        return self.draft.delivery.event.id


def write_down(
    db: Connection, drafts: Sequence[Draft], known: Mapping[Place, Row] | None, secret: bytes, now: datetime
) -> list[Letter]:
    """Write the messages of these drafts, all of one channel, into the ledger, and return their letters.

    What an earlier run has written down stays as it was judged then: it is ``known``, or is looked up. What another
    event has told, or is about to, is that event's business. The recipients' contacts are locked. Raises NamelessRows.
    """
    copies = [copy for draft in drafts for copy in _copies(draft, secret)]
    rows = dict(store.read(db, [copy.place for copy in copies]) if known is None else known)
    planned = _judged(db, [copy for copy in copies if copy.place not in rows], secret, now)
    rows |= store.plan(db, planned)
    held = {one.place for one in planned if one.skip == GATHERED}
    gather(db, [_member(copy) for copy in copies if copy.place in held])
    return [
        Letter(
            copy.draft.notice, copy.draft.channel, copy.draft.delivery, rows[copy.place], copy.person, copy.address,
            copy.draft.facts,
        )
        for copy in copies
        if copy.address and rows[copy.place].state != "skipped" and rows[copy.place].event_id == copy.event_id
    ]  # fmt: skip


def _member(copy: _Copy) -> Member:
    """What a digest will tell of a message that is held back."""
    event, amount = copy.draft.delivery.event, copy.draft.facts.get("amount")
    assert copy.person.user_id is not None  # guests are not limited
    assert event.position is not None
    money = (amount.amount, amount.currency) if isinstance(amount, Money) else (None, None)
    campaign = getattr(event.payload, "campaign_id", None) or getattr(event.payload, "fundraiser_id", None)
    return Member(copy.place.key, copy.person.user_id, event.position, campaign, *money)


def _copies(draft: Draft, secret: bytes) -> Iterator[_Copy]:
    """One for each address; a person without any is written down all the same, and so is that nobody is told."""
    key, channel = draft.key, draft.channel
    if draft.skip is not None:
        yield _Copy(draft, Place(key, NOBODY), Person(None), None)
    for person in draft.persons:
        addresses = person.addresses(channel)
        for address in addresses:
            yield _Copy(draft, Place(key, recipient_of(person, address, channel, secret)), person, address)
        if not addresses:
            yield _Copy(draft, Place(key, str(person.user_id) if person.user_id else NOBODY), person, None)


def recipient_of(person: Person, address: str, channel: ChannelName, secret: bytes) -> str:
    """What the ledger calls an address: the user's id, or the hash of a device's token or of a guest's address."""
    by_address = channel == "push" or person.user_id is None
    return address_hash(channel, address, secret) if by_address else str(person.user_id)


def _judged(db: Connection, copies: Sequence[_Copy], secret: bytes, now: datetime) -> list[Planned]:
    """What is to be written down of messages that are new. Those of one event do not count against each other."""
    if not copies:
        return []
    channel = copies[0].draft.channel
    suppressed = contacts.suppressed(db, channel, {copy.address for copy in copies if copy.address}, secret)
    limited = {copy.person.user_id for copy in copies if copy.person.user_id and copy.draft.notice.is_limited}
    recent = Counter(store.recent(db, channel, limited, LIMITED, now - timedelta(hours=1)) if limited else {})
    planned: list[Planned] = []
    for _, group in groupby(copies, key=lambda copy: copy.place.key):
        own = [_planned(copy, suppressed.get(copy.address or ""), recent, now) for copy in group]
        recent.update(
            one.user_id for one in own if one.user_id and one.skip is None and one.place.key.template in LIMITED
        )
        planned += own
    return planned


def _planned(copy: _Copy, suppression: str | None, recent: Mapping[UUID, int], now: datetime) -> Planned:
    draft, person = copy.draft, copy.person
    verdict = Verdict(draft.skip)
    if draft.skip is None:
        got = recent.get(person.user_id, 0) if person.user_id else 0
        verdict = judge(draft.notice, draft.channel, person, copy.address, suppression, got, now)
    event = draft.delivery.event
    assert event.position is not None
    return Planned(copy.place, event.id, event.position, draft.notice.transactional, person.user_id, *verdict)
