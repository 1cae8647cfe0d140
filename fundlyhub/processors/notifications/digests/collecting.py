"""Messages beyond the hourly limit join a digest, in the transaction that writes them down as held back.

There is one open digest per user, channel and template of its members; it takes members until it is closed and sent.
`digest_members` names nobody: a digest counts and sums. A matter is in one digest of a user and channel at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID, uuid4

from sqlalchemy import Connection

from fundlyhub.database.arrays import Columns
from fundlyhub.processors.notifications.message import Message
from fundlyhub.processors.notifications.policy import GATHERED
from fundlyhub.processors.notifications.rendering.template_values import Money

GATHER_TIME = 3600.0
"""Seconds from a digest's first member until it is sent."""

_DIGESTS = Columns(id="uuid", user_id="uuid", channel="code", template="code", position="bigint")
_MEMBERS = Columns(
    user_id="uuid", channel="code", template="code", matter="text", digest_id="uuid", campaign_id="uuid",
    amount="numeric", currency="code",
)  # fmt: skip
# An open digest is locked until its members are committed, so that it is not closed in between. A closed digest does
# not conflict, and another one is opened. In one order, so that two workers cannot deadlock.
_OPEN = f"""
    INSERT INTO digests AS known ({_DIGESTS}, due_at)
    SELECT {_DIGESTS}, clock_timestamp() + make_interval(secs => %(after)s) FROM {_DIGESTS.given}
    ORDER BY user_id, channel, template
    ON CONFLICT (user_id, channel, template) WHERE closed_at IS NULL DO UPDATE SET channel = known.channel
    RETURNING id, user_id, channel, template
"""  # noqa: S608 - put together from constants
# A message that another worker has queued meanwhile, or skipped for another reason, is not a member.
_JOIN = f"""
    INSERT INTO digest_members ({_MEMBERS}) SELECT * FROM {_MEMBERS.given}
    WHERE EXISTS (SELECT FROM notifications AS message
                  WHERE message.matter = given.matter AND message.channel = given.channel
                    AND message.template = given.template AND message.user_id = given.user_id
                    AND message.state = 'skipped' AND message.reason = %(reason)s)
    ORDER BY user_id, channel, template, matter
    ON CONFLICT DO NOTHING
"""  # noqa: S608


def gather(db: Connection, held: Sequence[Message]) -> None:
    """Put messages that stand in the ledger as gathered into the open digests of their recipients."""
    if not held:
        return
    firsts = list({_digest_of(one): one for one in reversed(held)}.values())
    digests = _DIGESTS.bound((uuid4(), *_digest_of(one), one.position) for one in firsts)
    rows = db.exec_driver_sql(_OPEN, {**digests, "after": GATHER_TIME})
    open_ones = {tuple(row[1:]): row[0] for row in rows}
    members = _MEMBERS.bound(
        (*_digest_of(one), one.key.matter, open_ones[_digest_of(one)], _campaign(one), *_amount(one)) for one in held
    )
    db.exec_driver_sql(_JOIN, {**members, "reason": GATHERED})


def _digest_of(message: Message) -> tuple[UUID | None, str, str]:
    """The key of the open digest that a message joins. Guests are not limited, so there is always a user."""
    return message.person.user_id, message.channel, message.notice.template


def _campaign(message: Message) -> UUID | None:
    payload = message.events[0].payload
    return getattr(payload, "campaign_id", None) or getattr(payload, "fundraiser_id", None)


def _amount(message: Message) -> tuple[Decimal | None, str | None]:
    amount = message.facts.get("amount")
    return (amount.amount, amount.currency) if isinstance(amount, Money) else (None, None)
