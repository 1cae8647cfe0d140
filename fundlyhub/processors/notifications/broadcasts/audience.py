"""The audience of a broadcast: the next followers of a campaign, without those whom a message may not reach.

Followers who have opted out or cannot be reached get no row in the ledger: they are counted by reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.processors.notifications import contacts
from fundlyhub.processors.notifications.contacts import Person
from fundlyhub.processors.notifications.message import Message
from fundlyhub.processors.notifications.outgoing import decide
from fundlyhub.processors.notifications.planning.content import Followers

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
    db: Connection, after: UUID, message: Message, followers: Followers, secret: bytes, now: datetime
) -> Audience:  # fmt: skip
    """The next part of a broadcast's audience. The contacts of those who get the message are locked."""
    given = {
        "campaign": followers.campaign_id, "donors_only": followers.donors_only, "after": after, "limit": CHUNK,
    }  # fmt: skip
    users = list(db.exec_driver_sql(_FOLLOWERS, given).scalars())
    seen = contacts.look(db, users)
    messages = [one for user in users for one in message.to(seen.get(user, Person(user)), secret)]
    skipped: Counter[str] = Counter()
    told: list[UUID] = []
    for user, own in groupby(decide(db, messages, secret, now), key=lambda one: one.person.user_id):
        reasons = [one.skip for one in own]
        if user and None in reasons:
            told.append(user)
        else:
            skipped[reasons[0] or ""] += 1
    last = users[-1] if users else after
    return Audience(last, len(users) == CHUNK, list(contacts.read(db, told).values()), skipped)
