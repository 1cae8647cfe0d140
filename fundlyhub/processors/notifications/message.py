"""A message: what one event, or one digest, tells one person at one address through one channel."""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import Context, copy_context
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from fundlyhub.channels.messages import ChannelName
from fundlyhub.events import Event
from fundlyhub.processing import Delivery
from fundlyhub.processors.notifications.catalogue import Notice
from fundlyhub.processors.notifications.contacts import Person
from fundlyhub.processors.notifications.ledger.matters import Key, matter_of
from fundlyhub.processors.notifications.ledger.state import Row
from fundlyhub.processors.notifications.rendering.template_values import Facts
from fundlyhub.processors.shared.address_hashes import address_hash, keyed_hash, mailbox

NOBODY = "nobody"
"""The recipient, in the ledger, of a message that has none."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message on its way from its event to its provider. A digest's message has no delivery.

    It begins without a recipient; the other fields are added as they become known. The policy says with ``skip`` why it
    is not sent, and with ``not_before`` when it may be; a ``held`` one waits for a person. All messages to one mailbox
    or number have the same ``ceiling_key``. ``token`` proves that its worker has taken it.
    """

    notice: Notice
    channel: ChannelName
    key: Key
    event_id: UUID
    position: int
    delivery: Delivery | None = None
    facts: Facts = field(default_factory=dict, repr=False)
    person: Person = field(default=Person(None), repr=False)
    address: str | None = field(default=None, repr=False)
    ceiling_key: str | None = None
    skip: str | None = None
    held: bool = False
    not_before: datetime | None = None
    row: Row | None = None
    token: UUID | None = None

    @classmethod
    def of(cls, notice: Notice, channel: ChannelName, delivery: Delivery) -> Message:
        """The message of an event, before its recipient is known."""
        event = delivery.event
        assert event.position is not None
        key = Key(matter_of(notice.matter, event), channel, notice.template)
        return cls(notice, channel, key, event.id, event.position, delivery)

    def to(self, person: Person, secret: bytes) -> Iterator[Message]:
        """One message for each address of a person; without an address one message, so that the ledger says why.

        The ledger knows a user by id, but a device and a guest by the hash of the token or address.
        """
        addresses = person.addresses(self.channel)
        for address in addresses:
            by_address = self.channel == "push" or person.user_id is None
            recipient = address_hash(self.channel, address, secret) if by_address else str(person.user_id)
            ceiling_key = keyed_hash("ceiling", mailbox(self.channel, address), secret)
            yield replace(self, key=self.key.to(recipient), person=person, address=address, ceiling_key=ceiling_key)
        if not addresses:
            yield replace(self, key=self.key.to(str(person.user_id or NOBODY)), person=person)

    def skipped(self, reason: str) -> Message:
        """The message without a recipient, for the ledger, with the reason why nobody gets it."""
        return replace(self, key=self.key.to(NOBODY), person=Person(None), skip=reason)

    @property
    def id(self) -> UUID:
        """Its id in the ledger."""
        assert self.row is not None
        return self.row.id

    @property
    def events(self) -> tuple[Event, ...]:
        """The event that waits for it, if one does."""
        return (self.delivery.event,) if self.delivery else ()

    @property
    def replayed_after(self) -> datetime | None:
        """When a person has sent its event again, if so."""
        return self.delivery.replayed_after if self.delivery else None

    @property
    def resend_if_unknown(self) -> bool:
        """Whether it is sent again when it may or may not have gone out."""
        return self.notice.if_unknown(self.channel) == "send again"

    def context(self) -> Context:
        """A context of its own to call the provider in: a context is entered by one thread at a time."""
        return self.delivery.context.copy() if self.delivery else copy_context()
