"""Finding messages in the ledger: by their ids, event, donation, user or typed address, and how each stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.channels.messages import ChannelName
from fundlyhub.database.prefixes import the_one, uuid_range
from fundlyhub.processors.shared.address_hashes import address_hashes, normalized

# What each part of a search asks. Only those that are given are in a query: the planner sees them alone. Addresses are
# not stored: guests and devices are found by the hash, users by their current address.
_CONDITIONS = {
    "ids": "n.id = ANY (%(ids)s::uuid[])",
    "event": "n.event_id = %(event)s",
    "donation": "(n.matter = %(donation)s OR n.matter >= %(donation)s || ' ' AND n.matter < %(donation)s || '!')",
    "user": "n.user_id = %(user)s",
    "recipient": "(starts_with(n.recipient, %(recipient)s) OR starts_with(n.user_id::text, %(recipient)s))",
    "address": """
        n.id IN (
            SELECT id FROM notifications
            WHERE recipient = ANY (%(hashes)s::text[]) AND (user_id IS NULL OR channel = 'push')
            UNION ALL
            SELECT id FROM notifications WHERE user_id IN (
                SELECT user_id FROM contacts WHERE lower(email) = ANY (%(mails)s::text[])
                UNION ALL SELECT user_id FROM contacts WHERE phone = %(phone)s))
    """,
    "template": "n.template = %(template)s",
    "channel": "n.channel = %(channel)s",
    "state": "n.state = %(state)s",
    "at": "(n.changed_at < %(at)s OR n.changed_at = %(at)s AND n.id > %(last)s)",
}
_FIND = """
    SELECT n.id, matter, event_id, position, template, channel, recipient, user_id, state, reason, tries, provider,
           created_at, sent_at, changed_at
    FROM notifications n WHERE CONDITIONS ORDER BY changed_at DESC, id LIMIT %(limit)s
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
    given: dict[str, Any] = {
        "ids": list(wanted.ids) if wanted.ids else None,
        "event": wanted.event,
        "donation": f"donation_id={wanted.donation}" if wanted.donation else None,
        "user": wanted.user,
        "recipient": wanted.recipient,
        "address": address or None,
        "template": wanted.template,
        "channel": wanted.channel,
        "state": wanted.state,
        "at": after.changed_at if after else None,
    }
    asked = [condition for name, condition in _CONDITIONS.items() if given[name] is not None]
    if address:
        given["hashes"] = [one for channel in _channels(address) for one in address_hashes(channel, address, secret)]
        given["mails"] = [normalized("email", address), address.strip().casefold()]
        given["phone"] = normalized("sms", address)
    given |= {"last": after.id if after else None, "limit": limit}
    query = _FIND.replace("CONDITIONS", " AND ".join(asked) or "true")
    return [Found(*row) for row in db.exec_driver_sql(query, given)]


def _channels(address: str) -> tuple[ChannelName, ...]:
    """The channels that an address may belong to."""
    return ("email",) if "@" in address else ("sms", "push")
