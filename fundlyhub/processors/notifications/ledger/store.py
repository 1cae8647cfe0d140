"""The ledger: one row per message, written before anything is sent, and never two of one matter for one recipient."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.channels.messages import ChannelName
from fundlyhub.database.arrays import array
from fundlyhub.processors.notifications.ledger.matters import ledger_id
from fundlyhub.processors.notifications.ledger.state import Row

ROW = """
    message.matter, message.channel, message.template, message.recipient, message.id, message.event_id, message.state,
    message.sent_at IS NOT NULL, message.changed_at,
    extract(epoch FROM message.not_before - clock_timestamp())::float8,
    extract(epoch FROM message.lease_until - clock_timestamp())::float8
"""
# In the order of the unique index: two workers with the same messages wait for each other at most once. A conflict is
# one of any index: a worker of the release before knows a message by its event alone.
_PLAN = f"""
    INSERT INTO notifications AS message (id, matter, event_id, position, channel, recipient, template, user_id,
                                          transactional, state, reason, not_before)
    SELECT id, matter, event_id, position, channel, recipient, template, user_id, transactional,
           CASE WHEN reason IS NULL THEN 'queued' ELSE 'skipped' END, reason, not_before
    FROM unnest(%(ids)s::uuid[], %(matters)s::text[], %(event_ids)s::uuid[], %(positions)s::bigint[],
                %(channels)s::text[], %(recipients)s::text[], %(templates)s::text[], %(users)s::uuid[],
                %(transactional)s::boolean[], %(reasons)s::text[], %(not_before)s::timestamptz[])
        AS given(id, matter, event_id, position, channel, recipient, template, user_id, transactional, reason,
                 not_before)
    WHERE NOT EXISTS (SELECT FROM notifications AS older
                      WHERE older.channel = given.channel AND older.recipient = given.recipient
                        AND older.template = given.template AND older.matter IS NULL)
    ORDER BY matter COLLATE "C", channel, recipient COLLATE "C", template
    ON CONFLICT DO NOTHING
    RETURNING {ROW}
"""  # noqa: S608  # our own text
# What was written by a worker of the release before has no matter yet: it may be about the same as one of these, of
# which none is written down before that is known.
_NAMELESS = f"""
    SELECT {ROW} FROM notifications AS message
    JOIN unnest(%(channels)s::text[], %(recipients)s::text[], %(templates)s::text[])
        AS given(channel, recipient, template) USING (channel, recipient, template)
    WHERE message.matter IS NULL
"""  # noqa: S608
_READ = f"""
    SELECT {ROW} FROM notifications AS message
    JOIN unnest(%(matters)s::text[], %(channels)s::text[], %(recipients)s::text[], %(templates)s::text[])
        AS given(matter, channel, recipient, template) USING (matter, channel, recipient, template)
    UNION ALL {_NAMELESS}
"""  # noqa: S608
_READ_ALL = f"""
    SELECT {ROW} FROM notifications AS message
    JOIN unnest(%(matters)s::text[], %(channels)s::text[], %(templates)s::text[])
        AS given(matter, channel, template) USING (matter, channel, template)
"""  # noqa: S608
_RECENT = """
    SELECT user_id, count(*)::int AS count FROM notifications
    WHERE user_id = ANY (%(users)s::uuid[]) AND channel = %(channel)s AND created_at > %(since)s
      AND template = ANY (%(limited)s::text[]) AND state <> 'skipped'
    GROUP BY user_id
"""


class NamelessRows(Exception):
    """Messages of a release before stand in the ledger without their matter, and may be about the same."""

    def __init__(self, places: Collection[Place]) -> None:
        self.places = places
        super().__init__("messages without a matter")


class Key(NamedTuple):
    """What the messages of one matter have in common."""

    matter: str
    channel: ChannelName
    template: str


class Place(NamedTuple):
    """Where a message stands in the ledger: no two have the same."""

    key: Key
    recipient: str


class Planned(NamedTuple):
    """A message to be, and the event that has it told: ``skip`` is why it will not be sent, if so."""

    place: Place
    event_id: UUID
    position: int
    transactional: bool
    user_id: UUID | None = None
    skip: str | None = None
    not_before: datetime | None = None


def plan(db: Connection, planned: Sequence[Planned]) -> dict[Place, Row]:
    """Write these messages down, and say where each stands: those that were there stay as they are.

    Raises NamelessRows.
    """
    if not planned:
        return {}
    places = [one.place for one in planned]
    given = {
        **_places(places),
        "ids": array(ledger_id(key.matter, key.channel, recipient, key.template) for key, recipient in places),
        "event_ids": array(one.event_id for one in planned),
        "positions": array(one.position for one in planned),
        "transactional": [one.transactional for one in planned],
        "users": array(one.user_id for one in planned),
        "reasons": [one.skip for one in planned],
        "not_before": array(one.not_before for one in planned),
    }
    rows = _rows(db, _PLAN, given)
    return rows | read(db, [place for place in places if place not in rows])


def read(db: Connection, places: Collection[Place]) -> dict[Place, Row]:
    """Where these messages stand; one that is not written down is not there. Raises NamelessRows."""
    return _rows(db, _READ, _places(places)) if places else {}


def read_all(db: Connection, keys: Collection[Key]) -> dict[Place, Row]:
    """The state of all messages of these matters, for all recipients."""
    return _rows(db, _READ_ALL, _keys(keys)) if keys else {}


def _keys(keys: Collection[Key]) -> dict[str, object]:
    return {
        "matters": [key.matter for key in keys],
        "channels": array(key.channel for key in keys),
        "templates": array(key.template for key in keys),
    }


def _places(places: Collection[Place]) -> dict[str, object]:
    return {**_keys([place.key for place in places]), "recipients": [place.recipient for place in places]}


def _rows(db: Connection, statement: str, given: Mapping[str, object]) -> dict[Place, Row]:
    found = db.exec_driver_sql(statement, given).all()
    if nameless := {Place(Key("", *row[1:3]), row[3]) for row in found if row[0] is None}:
        raise NamelessRows(nameless)
    return {Place(Key(*row[:3]), row[3]): Row(*row[4:]) for row in found}


def recent(
    db: Connection, channel: ChannelName, users: Iterable[UUID], limited: Sequence[str], since: datetime
) -> Mapping[UUID, int]:
    """How many messages of these templates these users got since then."""
    given = {"users": array(users), "channel": channel, "limited": list(limited), "since": since}
    rows = db.exec_driver_sql(_RECENT, given)
    return {row[0]: row[1] for row in rows}
