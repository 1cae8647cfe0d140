"""Finding messages in the ledger: by their ids, event, donation, user or typed address, and how each stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.channels.messages import ChannelName
from fundlyhub.database.prefixes import the_one, uuid_range
from fundlyhub.processors.shared.address_hashes import address_hashes, normalized

# Alternatives by index. Addresses are not stored: guests are found by the hash, users by their current address.
_FIND = """
    SELECT id, matter, event_id, position, template, channel, recipient, user_id, state, reason, tries, provider,
           created_at, sent_at, changed_at
    FROM notifications
    WHERE (%(ids)s::uuid[] IS NULL OR id = ANY (%(ids)s::uuid[]))
      AND (%(event)s::uuid IS NULL OR event_id = %(event)s)
      AND (%(donation)s::text IS NULL OR matter = %(donation)s::text
           OR matter >= %(donation)s::text || ' ' AND matter < %(donation)s::text || '!')
      AND (%(user)s::uuid IS NULL OR user_id = %(user)s)
      AND (%(recipient)s::text IS NULL OR starts_with(recipient, %(recipient)s)
           OR starts_with(user_id::text, %(recipient)s))
      AND (%(hashes)s::text[] IS NULL OR recipient = ANY (%(hashes)s::text[]) OR user_id IN (
          SELECT user_id FROM contacts WHERE lower(email) = ANY (%(mails)s::text[]) OR phone = %(phone)s))
      AND (%(template)s::text IS NULL OR template = %(template)s)
      AND (%(channel)s::text IS NULL OR channel = %(channel)s)
      AND (%(state)s::text IS NULL OR state = %(state)s)
      AND (%(at)s::timestamptz IS NULL OR changed_at < %(at)s OR changed_at = %(at)s AND id > %(last)s::uuid)
    ORDER BY changed_at DESC, id LIMIT %(limit)s
"""


_IDS = "SELECT id FROM notifications WHERE id BETWEEN %(low)s AND %(high)s LIMIT 2"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A search; None matches anything. ``address`` is as it was typed; ``recipient`` may be a prefix."""

    ids: Sequence[UUID] | None = None
    event: UUID | None = None
    donation: UUID | None = None
    user: UUID | None = None
    recipient: str | None = None
    address: str | None = None
    template: str | None = None
    channel: ChannelName | None = None
    state: str | None = None

    @property
    def names_somebody(self) -> bool:
        """Whether it names a message, an event, a donation or a person."""
        return any((self.ids, self.event, self.donation, self.user, self.recipient, self.address))


@dataclass(frozen=True, slots=True)
class Found:
    """A message of the ledger."""

    id: UUID
    matter: str | None
    event_id: UUID
    position: int
    template: str
    channel: ChannelName
    recipient: str
    user_id: UUID | None
    state: str
    reason: str | None
    tries: int
    provider: str | None
    created_at: datetime
    sent_at: datetime | None
    changed_at: datetime


class After(NamedTuple):
    """A place in a list of messages: that of the message with this id, which was changed then."""

    changed_at: datetime
    id: UUID


def in_full(db: Connection, beginnings: Sequence[str]) -> list[UUID]:
    """The ids of messages by their prefixes; a whole id stays as it is.

    Raises WrongUse when a prefix matches none or several.
    """
    found = []
    for beginning in beginnings:
        low, high = uuid_range(beginning)
        rows = db.exec_driver_sql(_IDS, {"low": low, "high": high}).scalars().all()
        found.append(low if low == high else the_one(rows, "message", beginning))
    return found


def find(db: Connection, wanted: Wanted, secret: bytes, limit: int, *, after: After | None = None) -> list[Found]:
    """The messages that match, the newest change first; with ``after`` those that come after that place in the list."""
    address = wanted.address
    given = {
        "ids": list(wanted.ids) if wanted.ids else None,
        "event": wanted.event,
        "donation": f"donation_id={wanted.donation}" if wanted.donation else None,
        "user": wanted.user,
        "recipient": wanted.recipient,
        "hashes": [one for channel in _channels(address) for one in address_hashes(channel, address, secret)]
        if address
        else None,
        "mails": [normalized("email", address), address.strip().casefold()] if address else None,
        "phone": normalized("sms", address) if address else None,
        "template": wanted.template,
        "channel": wanted.channel,
        "state": wanted.state,
        "at": after.changed_at if after else None,
        "last": after.id if after else None,
        "limit": limit,
    }
    return [Found(*row) for row in db.exec_driver_sql(_FIND, given)]


def _channels(address: str) -> tuple[ChannelName, ...]:
    """The channels that an address may belong to."""
    return ("email",) if "@" in address else ("sms", "push")
