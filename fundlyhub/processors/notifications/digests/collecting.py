"""What the hourly limit holds back joins a digest, in the transaction that writes it down as held back."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import Connection

from fundlyhub.channels.messages import ChannelName
from fundlyhub.database.arrays import array
from fundlyhub.processors.notifications.ledger.store import Key
from fundlyhub.processors.notifications.policy import GATHERED

GATHER_TIME = 3600.0
"""Seconds from a digest's first member until it is told."""

# An open digest is locked until the members are committed: nobody closes it between. One that is closed meanwhile
# conflicts with nothing any more, and another is opened. In one order, so that two workers never wait in a ring.
_OPEN = """
    INSERT INTO digests AS known (id, user_id, channel, template, position, due_at)
    SELECT id, user_id, channel, template, position, clock_timestamp() + make_interval(secs => %(after)s)
    FROM unnest(%(ids)s::uuid[], %(users)s::uuid[], %(channels)s::text[], %(templates)s::text[],
                %(positions)s::bigint[])
        AS given(id, user_id, channel, template, position)
    ORDER BY user_id, channel, template
    ON CONFLICT (user_id, channel, template) WHERE closed_at IS NULL DO UPDATE SET channel = known.channel
    RETURNING id, user_id, channel, template
"""
# What another worker has written down otherwise meanwhile, queued or skipped for another reason, is not a member.
_JOIN = """
    INSERT INTO digest_members (user_id, channel, template, matter, digest_id, campaign_id, amount, currency)
    SELECT user_id, channel, template, matter, digest_id, campaign_id, amount, currency
    FROM unnest(%(users)s::uuid[], %(channels)s::text[], %(templates)s::text[], %(matters)s::text[],
                %(digests)s::uuid[], %(campaigns)s::uuid[], %(amounts)s::numeric[], %(currencies)s::text[])
        AS given(user_id, channel, template, matter, digest_id, campaign_id, amount, currency)
    WHERE EXISTS (SELECT FROM notifications AS message
                  WHERE message.matter = given.matter AND message.channel = given.channel
                    AND message.template = given.template AND message.user_id = given.user_id
                    AND message.state = 'skipped' AND message.reason = %(reason)s)
    ORDER BY user_id, channel, template, matter
    ON CONFLICT DO NOTHING
"""


class Member(NamedTuple):
    """A message that is held back, the position of its event, and what a digest tells of it: nothing of who did it."""

    key: Key
    user_id: UUID
    position: int
    campaign_id: UUID | None = None
    amount: Decimal | None = None
    currency: str | None = None

    @property
    def of(self) -> tuple[UUID, ChannelName, str]:
        """Whose open digest it joins."""
        return self.user_id, self.key.channel, self.key.template


def gather(db: Connection, members: Sequence[Member]) -> None:
    """Put messages that stand in the ledger as gathered into the open digests of their recipients."""
    if not members:
        return
    firsts = list({member.of: member for member in reversed(members)}.values())
    given = {
        **_whose(firsts),
        "ids": [uuid4() for _ in firsts],
        "positions": array(one.position for one in firsts),
        "after": GATHER_TIME,
    }
    open_ones = {tuple(row[1:]): row[0] for row in db.exec_driver_sql(_OPEN, given)}
    joining = {
        **_whose(members),
        "matters": [one.key.matter for one in members],
        "digests": array(open_ones[one.of] for one in members),
        "campaigns": array(one.campaign_id for one in members),
        "amounts": array(one.amount for one in members),
        "currencies": array(one.currency for one in members),
        "reason": GATHERED,
    }
    db.exec_driver_sql(_JOIN, joining)


def _whose(members: Sequence[Member]) -> dict[str, object]:
    return {
        "users": array(one.user_id for one in members),
        "channels": array(one.key.channel for one in members),
        "templates": array(one.key.template for one in members),
    }
