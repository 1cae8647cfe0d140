"""The open messages of a broadcast: which are due, how many are left, and how each is retried on its own.

One event has thousands of them, so a message is not retried with its event: it waits longer after each try and fails
in the end, while all others go out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.database.arrays import Columns
from fundlyhub.processors.notifications.ledger.matters import Key
from fundlyhub.processors.notifications.ledger.state import Row
from fundlyhub.processors.notifications.ledger.store import ROW
from fundlyhub.processors.notifications.message import Message

TRIES = 8
"""Calls after which a message of a broadcast has failed: more than three hours."""

# The messages of an event that may be sent now: those that need not wait, those that a dead worker left, and after a
# replay those that had failed by then.
_DUE = f"""
    SELECT {ROW}, message.user_id FROM notifications AS message
    WHERE event_id = %(event_id)s AND channel = %(channel)s AND template = %(template)s AND id > %(after)s
      AND (state = 'queued' AND coalesce(not_before, '-infinity') <= clock_timestamp()
           OR state = 'sending' AND lease_until < clock_timestamp()
           OR state IN ('failed', 'unknown') AND sent_at IS NULL AND changed_at <= %(replayed_after)s)
    ORDER BY id LIMIT %(limit)s
"""  # noqa: S608  # our own text
_STANDING = """
    SELECT count(*) FILTER (WHERE state IN ('queued', 'sending')), count(*) FILTER (WHERE state = 'unknown'),
           count(*) FILTER (WHERE state = 'failed' AND sent_at IS NULL),
           extract(epoch FROM min(CASE state WHEN 'queued' THEN not_before WHEN 'sending' THEN lease_until END)
                              - clock_timestamp())::float8
    FROM notifications
    WHERE event_id = %(event_id)s AND channel = %(channel)s AND template = %(template)s
      AND state IN ('queued', 'sending', 'unknown', 'failed')
"""
# A quarter of a minute, a minute, four …, an hour at most.
_PUT_OFF = f"""
    UPDATE notifications
    SET state = CASE WHEN tries < {TRIES} THEN 'queued' ELSE 'failed' END, reason = %(reason)s, token = NULL,
        lease_until = NULL, changed_at = clock_timestamp(),
        not_before = clock_timestamp() + make_interval(secs => least(3600, 15 * 4.0 ^ (tries - 1)))
    WHERE id = %(id)s AND token = %(token)s AND state = 'sending'
"""  # noqa: S608
_REFUSE = """
    UPDATE notifications SET state = 'failed', reason = %(reason)s, changed_at = clock_timestamp()
    WHERE id = %(id)s AND (state = 'queued' OR state = 'sending' AND lease_until < clock_timestamp())
"""
_REASONS = Columns(id="uuid", reason="text")
_SKIP = f"""
    WITH ours AS (
        SELECT message.id, given.reason FROM {_REASONS.given}
        JOIN notifications AS message USING (id)
        WHERE message.state IN ('queued', 'failed', 'unknown')
           OR message.state = 'sending' AND message.lease_until < clock_timestamp()
        ORDER BY message.id FOR UPDATE OF message
    )
    UPDATE notifications AS message SET state = 'skipped', reason = ours.reason, changed_at = clock_timestamp()
    FROM ours WHERE message.id = ours.id
"""  # noqa: S608


class Standing(NamedTuple):
    """How many messages of an event are open, in doubt, or failed; ``wait`` is when the next is due, in seconds."""

    open: int
    unknown: int
    failed: int
    wait: float | None


def due(
    db: Connection, key: Key, event_id: UUID, replayed_after: datetime | None, after: UUID, limit: int
) -> list[tuple[str, Row, UUID]]:
    """The messages of an event that may be sent now, with recipient and user, in the order of their ids."""
    given = {
        **key._asdict(), "event_id": event_id, "replayed_after": replayed_after, "after": after, "limit": limit,
    }  # fmt: skip
    return [(row[3], Row(*row[4:-1]), row[-1]) for row in db.exec_driver_sql(_DUE, given)]


def standing(db: Connection, key: Key, event_id: UUID) -> Standing:
    """Count the messages of an event that are not settled."""
    return Standing(*db.exec_driver_sql(_STANDING, {**key._asdict(), "event_id": event_id}).one())


def put_off(db: Connection, message: Message, reason: str) -> None:
    """Put off a message that was surely not accepted: it waits longer each time, and fails in the end."""
    db.exec_driver_sql(_PUT_OFF, {"id": message.id, "token": message.token, "reason": reason})


def refuse(db: Connection, id: UUID, reason: str) -> None:
    """Fail a message that cannot be rendered, before any worker takes it."""
    db.exec_driver_sql(_REFUSE, {"id": id, "reason": reason})


def skip(db: Connection, reasons: Mapping[UUID, str]) -> None:
    """Skip messages, each with its reason."""
    if reasons:
        db.exec_driver_sql(_SKIP, _REASONS.bound(reasons.items()))
