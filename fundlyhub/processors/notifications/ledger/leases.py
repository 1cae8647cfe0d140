"""Leases on messages: a worker takes a message, sends it, and settles or releases it.

A row is taken by a conditional update with a token and a lease, committed before the call; it is settled by that
token. Several rows are taken or settled in the order of their ids, so that two workers cannot deadlock.
Times are the server's, so that no worker's clock decides on a lease.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.database.arrays import Columns, array
from fundlyhub.processors.notifications.message import Message

Accepted = tuple[Message, str | None]
"""A message that the provider has accepted, with the id that it has given it."""

_WANTED = Columns(id="uuid", token="uuid", again="boolean", replayed_after="timestamptz")  # noqa: S106 - a type
_ACCEPTED = Columns(accepted="uuid", held_by="uuid", message_id="text")

# A provider's webhook may have been quicker, and then knows more. A row without a token has lost its lease in a
# failover, or another worker has tried in vain meanwhile; the provider has the message all the same.
_SENT = f"""
    WITH ended AS (
        SELECT message.id, given.message_id FROM {_ACCEPTED.given}
        JOIN notifications AS message ON message.id = given.accepted
        WHERE message.token = given.held_by OR (message.token IS NULL AND message.state = 'queued')
        ORDER BY message.id FOR UPDATE OF message
    )
    UPDATE notifications AS message
    SET state = CASE WHEN state IN ('queued', 'sending', 'unknown') THEN 'sent' ELSE state END, lease_until = NULL,
        reason = CASE WHEN state IN ('queued', 'sending', 'unknown') THEN NULL ELSE reason END,
        provider_message_id = coalesce(ended.message_id, provider_message_id), sent_at = clock_timestamp(),
        changed_at = clock_timestamp()
    FROM ended WHERE message.id = ended.id
    RETURNING message.id
"""  # noqa: S608 - put together from constants
# Only one worker can take a message: a second one finds another state, a lease that still runs, or a locked row.
_TAKE = f"""
    WITH ours AS (
        SELECT message.id, given.token FROM {_WANTED.given}
        JOIN notifications AS message USING (id)
        WHERE message.state = 'queued'
           OR (message.state = 'sending' AND message.token = given.token)  -- taken, and the answer was lost
           OR (message.state = 'sending' AND message.lease_until < clock_timestamp() AND given.again)
           OR (message.state IN ('failed', 'unknown') AND message.changed_at <= given.replayed_after)
        ORDER BY message.id FOR UPDATE OF message SKIP LOCKED
    )
    UPDATE notifications AS message
    SET state = 'sending', token = ours.token, lease_until = clock_timestamp() + make_interval(secs => %(lease)s),
        tries = tries + 1, provider = %(provider)s, reason = NULL, changed_at = clock_timestamp()
    FROM ours WHERE message.id = ours.id
    RETURNING message.id
"""  # noqa: S608
# One commit in place of two: the messages that are taken are others than those that are settled.
_EXCHANGE = f"""
    WITH settled AS ({_SENT}), taken AS ({_TAKE})
    SELECT id, true FROM taken UNION ALL SELECT id, false FROM settled
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


def exchange(
    db: Connection, accepted: Sequence[Accepted], wanted: Sequence[Message], provider: str, seconds: float
) -> tuple[set[UUID], set[UUID]]:
    """``take`` and ``sent``, in one statement where there are messages for both; what they return."""
    if not accepted or not wanted:
        return take(db, wanted, provider, seconds) if wanted else set(), sent(db, accepted) if accepted else set()
    given = {**_settled(accepted), **_leases(wanted), "lease": seconds, "provider": provider}
    found = db.exec_driver_sql(_EXCHANGE, given).all()
    taken, settled = ({id for id, is_taken in found if is_taken == which} for which in (True, False))
    return taken, _lost(db, accepted, settled)


def take(db: Connection, wanted: Sequence[Message], provider: str, seconds: float) -> set[UUID]:
    """Take messages for some seconds; returns the ids of those that no other worker has taken first.

    A message that a worker was sending when it died is taken if it is sent again in doubt; one that had failed, if its
    event was replayed since.
    """
    given = {**_leases(wanted), "lease": seconds, "provider": provider}
    return set(db.exec_driver_sql(_TAKE, given).scalars())


def sent(db: Connection, accepted: Sequence[Accepted]) -> set[UUID]:
    """Note that the provider has accepted these messages.

    Returns those whose rows are not there any more: the database has lost its tail in a failover.
    """
    return _lost(db, accepted, set(db.exec_driver_sql(_SENT, _settled(accepted)).scalars()))


def _leases(wanted: Sequence[Message]) -> dict[str, Any]:
    return _WANTED.bound((one.id, one.token, one.resend_if_unknown, one.replayed_after) for one in wanted)


def _settled(accepted: Sequence[Accepted]) -> dict[str, Any]:
    return _ACCEPTED.bound((message.id, message.token, said) for message, said in accepted)


def _lost(db: Connection, accepted: Sequence[Accepted], settled: Collection[UUID]) -> set[UUID]:
    ids = {message.id for message, _ in accepted}.difference(settled)
    if not ids:
        return set()
    return ids - set(db.exec_driver_sql(_THERE, {"ids": array(ids)}).scalars())  # another worker may have the rest


def release(db: Connection, message: Message, reason: str, seconds: float) -> None:
    """Give back a message that was surely not accepted: it may be taken again after some seconds."""
    db.exec_driver_sql(_RELEASE, {"id": message.id, "token": message.token, "reason": reason, "seconds": seconds})


def end(db: Connection, message: Message, state: str, reason: str, now: datetime) -> None:
    """Settle a message as skipped, failed or unknown: it is sent again only if a person says so."""
    db.exec_driver_sql(_END, {"id": message.id, "token": message.token, "state": state, "reason": reason, "now": now})
