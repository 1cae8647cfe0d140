"""Messages beyond the hourly limit join a digest, in the transaction that writes them down as held back.

There is one open digest per user, channel and template of its members; it takes members until it is closed and sent.
`digest_members` names nobody: a digest counts and sums. A matter is in one digest of a user and channel at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID, uuid4

from sqlalchemy import Connection

from fundlyhub.database.arrays import array, arrays
from fundlyhub.processors.notifications.message import Message
from fundlyhub.processors.notifications.policy import GATHERED
from fundlyhub.processors.notifications.rendering.template_values import Money

GATHER_TIME = 3600.0
"""Seconds from a digest's first member until it is sent."""

# An open digest is locked until its members are committed, so that it is not closed in between. A closed digest does
# not conflict, and another one is opened. In one order, so that two workers cannot deadlock.
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
# A message that another worker has queued meanwhile, or skipped for another reason, is not a member.
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


def gather(db: Connection, held: Sequence[Message]) -> None:
    """Put messages that stand in the ledger as gathered into the open digests of their recipients."""
    if not held:
        return
    firsts = list({_digest_of(one): one for one in reversed(held)}.values())
    given = {
        **_digests_of(firsts),
        "ids": [uuid4() for _ in firsts],
        "positions": array(one.position for one in firsts),
        "after": GATHER_TIME,
    }
    open_ones = {tuple(row[1:]): row[0] for row in db.exec_driver_sql(_OPEN, given)}
    amounts = [_amount(one) for one in held]
    joining = {
        **_digests_of(held),
        "matters": [one.key.matter for one in held],
        "digests": array(open_ones[_digest_of(one)] for one in held),
        "campaigns": array(_campaign(one) for one in held),
        "amounts": array(one.amount if one else None for one in amounts),
        "currencies": array(one.currency if one else None for one in amounts),
        "reason": GATHERED,
    }
    db.exec_driver_sql(_JOIN, joining)


def _digest_of(message: Message) -> tuple[UUID | None, str, str]:
    """The key of the open digest that a message joins. Guests are not limited, so there is always a user."""
    return message.person.user_id, message.channel, message.notice.template


def _digests_of(messages: Sequence[Message]) -> dict[str, object]:
    return {**arrays(("users", "channels", "templates"), map(_digest_of, messages))}


def _campaign(message: Message) -> UUID | None:
    payload = message.events[0].payload
    return getattr(payload, "campaign_id", None) or getattr(payload, "fundraiser_id", None)


def _amount(message: Message) -> Money | None:
    amount = message.facts.get("amount")
    return amount if isinstance(amount, Money) else None
