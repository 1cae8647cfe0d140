"""The ledger: one row per message, written before anything is sent, and how a row changes hands.

A row is taken by a conditional update with a token and a lease, committed before the call; it is settled by that
token. Several rows are taken or settled in the order of their ids: two workers never wait for each other in a ring.
Times are the server's, so that no worker's clock decides on a lease.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.channels.messages import ChannelName
from fundlyhub.database.arrays import array

_ROW = """
    event_id, channel, template, recipient, id, state, sent_at IS NOT NULL, changed_at,
    extract(epoch FROM not_before - clock_timestamp())::float8,
    extract(epoch FROM lease_until - clock_timestamp())::float8
"""
# In the order of the unique index: two workers with the same messages wait for each other at most once.
_PLAN = f"""
    INSERT INTO notifications (event_id, position, channel, recipient, template, user_id, transactional, state, reason,
                               not_before)
    SELECT event_id, position, channel, recipient, template, user_id, transactional,
           CASE WHEN reason IS NULL THEN 'queued' ELSE 'skipped' END, reason, not_before
    FROM unnest(%(event_ids)s::uuid[], %(positions)s::bigint[], %(channels)s::text[], %(recipients)s::text[],
                %(templates)s::text[], %(users)s::uuid[], %(transactional)s::boolean[], %(reasons)s::text[],
                %(not_before)s::timestamptz[])
        AS given(event_id, position, channel, recipient, template, user_id, transactional, reason, not_before)
    ORDER BY event_id, channel, recipient COLLATE "C", template
    ON CONFLICT (event_id, channel, recipient, template) DO NOTHING
    RETURNING {_ROW}
"""  # noqa: S608  # our own text
_READ = f"""
    SELECT {_ROW} FROM notifications
    JOIN unnest(%(event_ids)s::uuid[], %(channels)s::text[], %(recipients)s::text[], %(templates)s::text[])
        AS given(event_id, channel, recipient, template) USING (event_id, channel, recipient, template)
"""  # noqa: S608
# Whoever takes a message has it alone: a second worker finds another state, a lease that still runs, or a locked row.
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
_OPEN_USERS = """
    SELECT DISTINCT user_id FROM notifications
    WHERE event_id = %(event_id)s AND channel = %(channel)s AND template = %(template)s
      AND state NOT IN ('sent', 'delivered', 'skipped') AND user_id > %(after)s
    ORDER BY user_id LIMIT %(limit)s
"""
_LAST_USER = """
    SELECT user_id FROM notifications
    WHERE event_id = %(event_id)s AND channel = %(channel)s AND template = %(template)s AND user_id IS NOT NULL
    ORDER BY user_id DESC LIMIT 1
"""
_RECENT = """
    SELECT user_id, count(*)::int AS count FROM notifications
    WHERE user_id = ANY (%(users)s::uuid[]) AND channel = %(channel)s AND created_at > %(since)s
      AND NOT transactional AND state <> 'skipped'
    GROUP BY user_id
"""


class Key(NamedTuple):
    """What the messages of one event have in common."""

    event_id: UUID
    channel: ChannelName
    template: str


class Place(NamedTuple):
    """Where a message stands in the ledger: no two have the same."""

    key: Key
    recipient: str


class Planned(NamedTuple):
    """A message to be: ``skip`` is why it will not be sent, if so."""

    place: Place
    position: int
    transactional: bool
    user_id: UUID | None = None
    skip: str | None = None
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """Where a message stands, and whether its provider has accepted it. ``wait`` and ``lease`` are seconds left."""

    id: UUID
    state: str
    accepted: bool
    changed_at: datetime
    wait: float | None
    lease: float | None


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


def plan(db: Connection, planned: Sequence[Planned]) -> dict[Place, Row]:
    """Write these messages down, and say where each stands: those that were there stay as they are."""
    if not planned:
        return {}
    given = {
        **_places([one.place for one in planned]),
        "positions": array(one.position for one in planned),
        "transactional": [one.transactional for one in planned],
        "users": array(one.user_id for one in planned),
        "reasons": [one.skip for one in planned],
        "not_before": array(one.not_before for one in planned),
    }
    rows = _rows(db, _PLAN, given)
    return rows | read(db, [one.place for one in planned if one.place not in rows])


def read(db: Connection, places: Collection[Place]) -> dict[Place, Row]:
    """Where these messages stand; one that is not written down is not there."""
    return _rows(db, _READ, _places(places)) if places else {}


def _places(places: Collection[Place]) -> dict[str, object]:
    return {
        "event_ids": array(place.key.event_id for place in places),
        "channels": array(place.key.channel for place in places),
        "templates": array(place.key.template for place in places),
        "recipients": [place.recipient for place in places],
    }


def _rows(db: Connection, statement: str, given: Mapping[str, object]) -> dict[Place, Row]:
    return {Place(Key(*row[:3]), row[3]): Row(*row[4:]) for row in db.exec_driver_sql(statement, given)}


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


def open_users(db: Connection, key: Key, after: UUID, limit: int) -> list[UUID]:
    """Whose messages of an event are not settled, in the order of their ids."""
    rows = db.exec_driver_sql(_OPEN_USERS, {**key._asdict(), "after": after, "limit": limit})
    return [user for (user,) in rows]


def last_user(db: Connection, key: Key) -> UUID | None:
    """How far the recipients of an event are planned."""
    row = db.exec_driver_sql(_LAST_USER, key._asdict()).first()
    return row[0] if row else None


def recent(db: Connection, channel: ChannelName, users: Iterable[UUID], since: datetime) -> Mapping[UUID, int]:
    """How many messages that may be limited these users got since then."""
    rows = db.exec_driver_sql(_RECENT, {"users": array(users), "channel": channel, "since": since})
    return {row[0]: row[1] for row in rows}
