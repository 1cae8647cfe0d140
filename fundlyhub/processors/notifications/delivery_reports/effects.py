"""The effects of delivery reports: delivered, bounced, complained.

Reports come more than once, and in any order. A message's state only moves forward, so that a repetition changes
nothing, and only the report that moved its message suppresses an address: a replayed old request does no harm, even
after an operator has lifted the suppression.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.channels.messages import ChannelName
from fundlyhub.processors.notifications.suppressions import Cause, Why, suppress

Kind = Literal["delivered", "complained", "undelivered", "unwanted", "bounced"]
"""Bounced: the address does not exist. Undelivered: the message did not get through this time. Unwanted: the provider
did not send it, since the recipient has unsubscribed there."""


class Word(NamedTuple):
    """A provider's report on a message.

    ``address_hash`` is the address that it went to, if known. ``said`` is the reason, in our own words.
    """

    notification: UUID
    kind: Kind
    channel: ChannelName
    provider_message_id: str | None = None
    address_hash: str | None = None
    said: str = ""


class Change(NamedTuple):
    """The new state of a message, and why its address is suppressed, if so."""

    state: str
    reason: str | None
    suppress: Why | None = None


# A report changes a message only if its rank is higher than what is known: so any order ends in the same state.
_RANKS: Mapping[Kind, int] = {
    "delivered": 1, "complained": 2, "undelivered": 3, "unwanted": 4, "bounced": 5,
}  # fmt: skip
_CHANGES: Mapping[Kind, Change] = {
    "delivered": Change("delivered", None),
    "complained": Change("delivered", "complained", suppress="complained"),
    "undelivered": Change("failed", "undelivered"),
    "unwanted": Change("failed", "unwanted", suppress="complained"),
    "bounced": Change("failed", "bounced", suppress="bounced"),
}


def changed(state: str, reason: str | None, kind: Kind) -> Change | None:
    """The change by a report to a message in this state, or None. Pure."""
    if state in ("sending", "sent", "unknown"):
        known = 0
    elif state in ("delivered", "failed"):
        same = [rank for one, rank in _RANKS.items() if _CHANGES[one][:2] == (state, reason)]
        known = same[0] if same else max(_RANKS.values())  # a refusal, after which nothing was on its way
    else:
        known = max(_RANKS.values())
    return _CHANGES[kind] if _RANKS[kind] > known else None


# In the order of their ids, so that two requests cannot deadlock.
_LOCK = """
    SELECT id, state, reason, user_id, provider FROM notifications
    WHERE id = ANY (%(ids)s::uuid[]) ORDER BY id FOR UPDATE
"""
_UPDATE = """
    UPDATE notifications
    SET state = %(state)s, reason = %(reason)s, lease_until = NULL, changed_at = clock_timestamp(),
        sent_at = coalesce(sent_at, clock_timestamp()),
        provider_message_id = coalesce(provider_message_id, %(message_id)s)
    WHERE id = %(id)s
"""


def apply(db: Connection, words: Sequence[Word]) -> Mapping[str, int]:
    """Apply reports in the caller's transaction; returns how many changed something, by kind, and how many did not."""
    counts: Counter[str] = Counter()
    ids = sorted({word.notification for word in words})
    rows = {row.id: row for row in db.exec_driver_sql(_LOCK, {"ids": ids})}
    known = {id: (row.state, row.reason) for id, row in rows.items()}
    causes: list[Cause] = []
    for word in words:
        if word.notification not in known:
            counts["unknown"] += 1
            continue
        change = changed(*known[word.notification], word.kind)
        if change is None:
            counts["nothing new"] += 1
            continue
        counts[word.kind] += 1
        known[word.notification] = (change.state, change.reason)
        given = {"id": word.notification, "state": change.state, "reason": change.reason}
        db.exec_driver_sql(_UPDATE, {**given, "message_id": word.provider_message_id})
        if change.suppress and word.address_hash:
            row = rows[word.notification]
            told_by, said = row.provider or "a provider", word.said or word.kind
            causes.append(Cause(word.channel, word.address_hash, change.suppress, told_by, said, row.user_id, row.id))
    suppress(db, causes)
    return counts
