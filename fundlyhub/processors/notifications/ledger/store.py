"""The ledger, table `notifications`: one row per message, written before anything is sent.

No recipient is told of a matter twice: matter, channel, recipient and template are unique. A row of the previous
release has no matter until it is needed, and a random id. A digest's row has the digest's id as its `event_id`.
`recipient` is a user's id, or the keyed hash of an address or a device's token, never these themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.channels.messages import ChannelName
from fundlyhub.database.arrays import Columns, array
from fundlyhub.processors.notifications.ledger.matters import Key, ledger_id
from fundlyhub.processors.notifications.ledger.state import Row
from fundlyhub.processors.notifications.message import Message

ROW = """
    message.matter, message.channel, message.template, message.recipient, message.id, message.event_id, message.state,
    message.sent_at IS NOT NULL, message.changed_at,
    greatest(0, coalesce(extract(epoch FROM
        CASE message.state WHEN 'queued' THEN message.not_before WHEN 'sending' THEN message.lease_until END
        - clock_timestamp()), 0))::float8
"""
_PLANNED = Columns(
    id="uuid", matter="text", event_id="uuid", position="bigint", channel="code", recipient="text", template="code",
    user_id="uuid", transactional="boolean", reason="text", not_before="timestamptz", ceiling_key="code", state="code",
)  # fmt: skip
# In the order of the unique index, so that two workers with the same messages cannot deadlock. A conflict may be with
# any index: a worker of the previous release identifies a message by its event.
_PLAN = f"""
    INSERT INTO notifications AS message ({_PLANNED})
    SELECT {_PLANNED} FROM {_PLANNED.given}
    WHERE NOT EXISTS (SELECT FROM notifications AS older
                      WHERE older.channel = given.channel AND older.recipient = given.recipient
                        AND older.template = given.template AND older.matter IS NULL)
    ORDER BY matter COLLATE "C", channel, recipient COLLATE "C", template
    ON CONFLICT DO NOTHING
    RETURNING {ROW}
"""  # noqa: S608  # our own text
_KEYS = Columns(matter="text", channel="code", template="code", recipient="text")
# Rows of the previous release have no matter yet and may be about the same as the new ones, so nothing is written
# before their matter is known.
_NAMELESS = f"""
    SELECT {ROW} FROM notifications AS message
    JOIN {_KEYS.given} USING (channel, recipient, template)
    WHERE message.matter IS NULL
"""  # noqa: S608
_READ = f"""
    SELECT {ROW} FROM notifications AS message
    JOIN {_KEYS.given} USING (matter, channel, recipient, template)
    UNION ALL {_NAMELESS}
"""  # noqa: S608
_READ_ALL = f"""
    SELECT {ROW} FROM notifications AS message
    JOIN {_KEYS.given} USING (matter, channel, template)
"""  # noqa: S608
_RECENT = """
    SELECT user_id, count(*)::int AS count FROM notifications
    WHERE user_id = ANY (%(users)s::uuid[]) AND channel = %(channel)s AND created_at > %(since)s
      AND template = ANY (%(limited)s::text[]) AND state NOT IN ('skipped', 'held')
    GROUP BY user_id
"""


class NamelessRows(Exception):
    """Messages of the previous release stand in the ledger without a matter, and may be about the same."""

    def __init__(self, keys: Collection[Key]) -> None:
        self.keys = keys
        super().__init__("messages without a matter")


def plan(db: Connection, messages: Sequence[Message]) -> dict[Key, Row]:
    """Write messages into the ledger, and return their rows: one that was there stays as it is. Raises NamelessRows."""
    if not messages:
        return {}
    keys = [one.key for one in messages]
    planned = (_planned(one, one.skip, "held" if one.held else "skipped" if one.skip else "queued") for one in messages)
    rows = _rows(db, _PLAN, _PLANNED.bound(planned))
    return rows | read(db, [key for key in keys if key not in rows])


def restore(db: Connection, message: Message, reason: str) -> None:
    """Write a message down again as one of unknown outcome, unless its row is there."""
    _rows(db, _PLAN, _PLANNED.bound([_planned(message, reason, "unknown")]))


def _planned(message: Message, reason: str | None, state: str) -> tuple[object, ...]:
    key = message.key
    return (
        ledger_id(key.matter, key.channel, key.recipient, key.template), key.matter, message.event_id, message.position,
        key.channel, key.recipient, key.template, message.person.user_id, message.notice.transactional,
        reason, message.not_before, message.ceiling_key, state,
    )  # fmt: skip


def read(db: Connection, keys: Collection[Key]) -> dict[Key, Row]:
    """The rows of these messages, as far as they are written down. Raises NamelessRows."""
    return _rows(db, _READ, _KEYS.bound(keys)) if keys else {}


def read_all(db: Connection, keys: Collection[Key]) -> dict[Key, Row]:
    """The rows of all messages of these matters, for all recipients."""
    return _rows(db, _READ_ALL, _KEYS.bound(keys)) if keys else {}


def _rows(db: Connection, statement: str, given: Mapping[str, object]) -> dict[Key, Row]:
    found = db.exec_driver_sql(statement, given).all()
    if nameless := {Key("", *row[1:4]) for row in found if row[0] is None}:
        raise NamelessRows(nameless)
    return {Key(*row[:4]): Row(*row[4:]) for row in found}


def recent(
    db: Connection, channel: ChannelName, users: Iterable[UUID], limited: Sequence[str], since: datetime
) -> Mapping[UUID, int]:
    """How many messages of these templates each user got since then."""
    given = {"users": array(users), "channel": channel, "limited": list(limited), "since": since}
    rows = db.exec_driver_sql(_RECENT, given)
    return {row[0]: row[1] for row in rows}
