"""The audience of a broadcast: the next followers of a campaign, without those whom a message may not reach.

Followers who have opted out or cannot be reached get no row in the ledger: they are counted by reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.channels.messages import ChannelName
from fundlyhub.processors.notifications import contacts
from fundlyhub.processors.notifications.catalogue import Notice
from fundlyhub.processors.notifications.contacts import Person
from fundlyhub.processors.notifications.message import recipient_of
from fundlyhub.processors.notifications.planning.content import Content
from fundlyhub.processors.notifications.policy import judge

CHUNK = 250
"""Followers that are looked at in one transaction."""

_FOLLOWERS = """
    SELECT follower_id FROM follows
    WHERE kind = 'campaign' AND followed_id = %(campaign)s AND follows AND follower_id > %(after)s
      AND (NOT %(donors_only)s OR EXISTS (SELECT FROM gift_donors WHERE gift_donors.campaign_id = %(campaign)s
                                                                   AND gift_donors.donor_id = follows.follower_id))
    ORDER BY follower_id LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Audience:
    """Some followers: the last one, whether more come, who gets the message, and how many do not, by reason."""

    last: UUID
    more: bool
    persons: Sequence[Person]
    skipped: Counter[str]


def after(
    db: Connection, after: UUID, content: Content, notice: Notice, channel: ChannelName, secret: bytes, now: datetime
) -> Audience:
    """The next part of a broadcast's audience. The contacts of those who get the message are locked."""
    given = {"campaign": content.followers_of, "donors_only": content.donors_only, "after": after, "limit": CHUNK}
    users = list(db.exec_driver_sql(_FOLLOWERS, given).scalars())
    seen = contacts.look(db, users)
    addresses = {address for person in seen.values() for address in person.addresses(channel)}
    suppressed = contacts.suppressed(db, channel, addresses, secret) if addresses else {}
    skipped: Counter[str] = Counter()
    told: list[UUID] = []
    for user in users:
        person = seen.get(user, Person(user))
        reasons = [
            reason_against(person, address, notice, channel, suppressed, now)
            for address in person.addresses(channel) or (None,)
        ]
        if None in reasons:
            told.append(user)
        else:
            skipped[reasons[0] or ""] += 1
    last = users[-1] if users else after
    return Audience(last, len(users) == CHUNK, list(contacts.read(db, told).values()), skipped)


def reason_against(
    person: Person, address: str | None, notice: Notice, channel: ChannelName, suppressed: Mapping[str, str],
    now: datetime,
) -> str | None:  # fmt: skip
    """Why a message is not sent to an address of a person, if so. The hourly limit does not apply here."""
    return judge(notice, channel, person, address, suppressed.get(address or ""), 0, now).skip


def places(persons: Iterable[Person], channel: ChannelName, secret: bytes) -> dict[tuple[UUID, str], str]:
    """The addresses of users by their names in the ledger."""
    return {
        (person.user_id, recipient_of(person, address, channel, secret)): address
        for person in persons
        if person.user_id is not None
        for address in person.addresses(channel)
    }
