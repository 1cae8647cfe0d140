"""How a message of the ledger changes hands: taken, sent, released or ended.

A row is taken by a conditional update with a token and a lease, committed before the call; it is settled by that
token. Several rows are taken or settled in the order of their ids: two workers never wait for each other in a ring.
Times are the server's, so that no worker's clock decides on a lease.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.database.arrays import array

# Only one worker can take a message: a second one finds another state, a lease that still runs, or a locked row.
_TAKE = """
    WITH ours AS (
        SELECT message.id, given.token
        FROM unnest(%(ids)s::uuid[], %(tokens)s::uuid[], %(again)s::boolean[], %(replayed_after)s::timestamptz[])
             AS given(id, token, again, replayed_after)
        JOIN notifications AS message USING (id)
        WHERE message.state = 'queued'
           OR (message.state = 'sending' AND message.lease_until < clock_timestamp() AND given.again)
           OR (message.state IN ('failed', 'unknown') AND message.changed_at <= given.replayed_after)
        ORDER BY message.id FOR UPDATE OF message SKIP LOCKED
    )
    UPDATE notifications AS message
    SET state = 'sending', token = ours.token, lease_until = clock_timestamp() + make_interval(secs => %(lease)s),
        tries = tries + 1, provider = %(provider)s, reason = NULL, changed_at = clock_timestamp()
    FROM ours WHERE message.id = ours.id
    RETURNING message.id
"""
# A provider's webhook may have been quicker, and then knows more.
_SENT = """
    WITH ours AS (
        SELECT message.id, given.message_id
        FROM unnest(%(ids)s::uuid[], %(tokens)s::uuid[], %(message_ids)s::text[]) AS given(id, token, message_id)
        JOIN notifications AS message USING (id, token)
        ORDER BY message.id FOR UPDATE OF message
    )
    UPDATE notifications AS message
    SET state = CASE WHEN state IN ('sending', 'unknown') THEN 'sent' ELSE state END, lease_until = NULL,
        reason = CASE WHEN state IN ('sending', 'unknown') THEN NULL ELSE reason END,
        provider_message_id = coalesce(ours.message_id, provider_message_id), sent_at = clock_timestamp(),
        changed_at = clock_timestamp()
    FROM ours WHERE message.id = ours.id
"""
_RELEASE = """
    UPDATE notifications
    SET state = 'queued', reason = %(reason)s, token = NULL, lease_until = NULL,
        not_before = clock_timestamp() + make_interval(secs => %(seconds)s), changed_at = clock_timestamp()
    WHERE id = %(id)s AND token = %(token)s AND state = 'sending'
"""
_END = """
    UPDATE notifications SET state = %(state)s, reason = %(reason)s, lease_until = NULL, changed_at = %(now)s
    WHERE id = %(id)s AND state = 'sending' AND (token = %(token)s OR lease_until < clock_timestamp())
"""


@dataclass(frozen=True, slots=True)
class Hold:
    """A message that is ours to send."""

    id: UUID
    token: UUID


class Wanted(NamedTuple):
    """A message that we would send.

    ``again`` allows to take one that a dead worker was sending, ``replayed_after`` one that had failed by then.
    """

    hold: Hold
    again: bool
    replayed_after: datetime | None


def take(db: Connection, wanted: Sequence[Wanted], provider: str, lease: float) -> set[UUID]:
    """Make messages ours for the length of a lease in seconds; the ids of those that nobody was quicker to take."""
    given = {
        "ids": [one.hold.id for one in wanted],
        "tokens": [one.hold.token for one in wanted],
        "again": [one.again for one in wanted],
        "replayed_after": array(one.replayed_after for one in wanted),
        "lease": lease,
        "provider": provider,
    }
    return {id for (id,) in db.exec_driver_sql(_TAKE, given)}


def sent(db: Connection, accepted: Mapping[Hold, str | None]) -> None:
    """The provider has accepted them, under the message ids that it has given."""
    given = {
        "ids": [hold.id for hold in accepted],
        "tokens": [hold.token for hold in accepted],
        "message_ids": list(accepted.values()),
    }
    db.exec_driver_sql(_SENT, given)


def release(db: Connection, hold: Hold, reason: str, seconds: float) -> None:
    """It was surely not accepted: it may be taken again after so many seconds."""
    db.exec_driver_sql(_RELEASE, {"id": hold.id, "token": hold.token, "reason": reason, "seconds": seconds})


def end(db: Connection, hold: Hold, state: str, reason: str, now: datetime) -> None:
    """It is skipped, failed or unknown: nobody sends it again unless a person says so."""
    db.exec_driver_sql(_END, {"id": hold.id, "token": hold.token, "state": state, "reason": reason, "now": now})
