"""Leases on messages: a worker takes a message, sends it, and settles or releases it.

A row is taken by a conditional update with a token and a lease, committed before the call; it is settled by that
token. Several rows are taken or settled in the order of their ids, so that two workers cannot deadlock.
Times are the server's, so that no worker's clock decides on a lease.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.database.arrays import Columns, array
from fundlyhub.processors.notifications.message import Message

_WANTED = Columns(id="uuid", token="uuid", again="boolean", replayed_after="timestamptz")  # noqa: S106 - a type
_ACCEPTED = Columns(id="uuid", token="uuid", message_id="text")  # noqa: S106

# Only one worker can take a message: a second one finds another state, a lease that still runs, or a locked row.
_TAKE = f"""
    WITH ours AS (
        SELECT message.id, given.token FROM {_WANTED.given}
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
"""  # noqa: S608 - put together from constants
# A provider's webhook may have been quicker, and then knows more. A row without a token has lost its lease in a
# failover, or another worker has tried in vain meanwhile; the provider has the message all the same.
_SENT = f"""
    WITH ours AS (
        SELECT message.id, given.message_id FROM {_ACCEPTED.given}
        JOIN notifications AS message USING (id)
        WHERE message.token = given.token OR (message.token IS NULL AND message.state = 'queued')
        ORDER BY message.id FOR UPDATE OF message
    )
    UPDATE notifications AS message
    SET state = CASE WHEN state IN ('queued', 'sending', 'unknown') THEN 'sent' ELSE state END, lease_until = NULL,
        reason = CASE WHEN state IN ('queued', 'sending', 'unknown') THEN NULL ELSE reason END,
        provider_message_id = coalesce(ours.message_id, provider_message_id), sent_at = clock_timestamp(),
        changed_at = clock_timestamp()
    FROM ours WHERE message.id = ours.id
"""  # noqa: S608
_THERE = "SELECT id FROM notifications WHERE id = ANY (%(ids)s::uuid[])"
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


def take(db: Connection, wanted: Sequence[Message], provider: str, seconds: float) -> set[UUID]:
    """Take messages for some seconds; returns the ids of those that no other worker has taken first.

    A message that a worker was sending when it died is taken if it is sent again in doubt; one that had failed, if its
    event was replayed since.
    """
    leases = _WANTED.bound((one.id, one.token, one.resend_if_unknown, one.replayed_after) for one in wanted)
    return {id for (id,) in db.exec_driver_sql(_TAKE, {**leases, "lease": seconds, "provider": provider})}


def sent(db: Connection, accepted: Sequence[tuple[Message, str | None]]) -> set[UUID]:
    """Note that the provider has accepted these messages, each with the id that it has given it.

    Returns those whose rows are not there any more: the database has lost its tail in a failover.
    """
    given = _ACCEPTED.bound((message.id, message.token, said) for message, said in accepted)
    if db.exec_driver_sql(_SENT, given).rowcount == len(accepted):
        return set()
    ids = {message.id for message, _ in accepted}  # another worker may have taken one after its lease
    return ids - set(db.exec_driver_sql(_THERE, {"ids": array(ids)}).scalars())


def release(db: Connection, message: Message, reason: str, seconds: float) -> None:
    """Give back a message that was surely not accepted: it may be taken again after some seconds."""
    db.exec_driver_sql(_RELEASE, {"id": message.id, "token": message.token, "reason": reason, "seconds": seconds})


def end(db: Connection, message: Message, state: str, reason: str, now: datetime) -> None:
    """Settle a message as skipped, failed or unknown: it is sent again only if a person says so."""
    db.exec_driver_sql(_END, {"id": message.id, "token": message.token, "state": state, "reason": reason, "now": now})
