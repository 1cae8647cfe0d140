"""Leases on messages: a worker takes a message, sends it, and settles or releases it.

A row is taken by a conditional update with a token and a lease, committed before the call; it is settled by that
token. Several rows are taken or settled in the order of their ids, so that two workers cannot deadlock.
Times are the server's, so that no worker's clock decides on a lease.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
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
class Lease:
    """The right to send a message for some time; the token proves it.

    ``again`` allows to take a message that a worker was sending when it died, ``replayed_after`` one that had failed
    by then.
    """

    id: UUID
    token: UUID
    again: bool = False
    replayed_after: datetime | None = None


def take(db: Connection, wanted: Sequence[Lease], provider: str, seconds: float) -> set[UUID]:
    """Take messages for some seconds; returns the ids of those that no other worker has taken first."""
    given = {
        "ids": [one.id for one in wanted],
        "tokens": [one.token for one in wanted],
        "again": [one.again for one in wanted],
        "replayed_after": array(one.replayed_after for one in wanted),
        "lease": seconds,
        "provider": provider,
    }
    return {id for (id,) in db.exec_driver_sql(_TAKE, given)}


def sent(db: Connection, accepted: Mapping[Lease, str | None]) -> None:
    """Note that the provider has accepted these messages, and the ids that it has given them."""
    given = {
        "ids": [lease.id for lease in accepted],
        "tokens": [lease.token for lease in accepted],
        "message_ids": list(accepted.values()),
    }
    db.exec_driver_sql(_SENT, given)


def release(db: Connection, lease: Lease, reason: str, seconds: float) -> None:
    """Give back a message that was surely not accepted: it may be taken again after some seconds."""
    db.exec_driver_sql(_RELEASE, {"id": lease.id, "token": lease.token, "reason": reason, "seconds": seconds})


def end(db: Connection, lease: Lease, state: str, reason: str, now: datetime) -> None:
    """Settle a message as skipped, failed or unknown: it is sent again only if a person says so."""
    db.exec_driver_sql(_END, {"id": lease.id, "token": lease.token, "state": state, "reason": reason, "now": now})
