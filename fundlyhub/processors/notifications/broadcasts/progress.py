"""The progress of a broadcast: one row, written in the transaction that plans its next recipients.

A follower who is not told costs no row of the ledger: `skipped` counts them by reason, `told` the rows in the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql import bindparam, text

from fundlyhub.processing import Delivery
from fundlyhub.processors.notifications.ledger.matters import Key

NOBODY_YET = UUID(int=0)

# A worker of the release before may have planned some of the recipients: it goes by the last one in the ledger. It may
# also have told all of the matter for another event.
_BEGIN = """
    WITH own AS (
        SELECT count(*) AS told,
               (array_agg(user_id ORDER BY user_id DESC) FILTER (WHERE user_id IS NOT NULL))[1] AS last_user
        FROM notifications
        WHERE event_id = %(event_id)s AND channel = %(channel)s AND template = %(template)s
    ), other AS (
        SELECT event_id FROM notifications
        WHERE matter = %(matter)s AND channel = %(channel)s AND template = %(template)s
          AND event_id <> %(event_id)s AND state <> 'skipped' LIMIT 1
    )
    INSERT INTO broadcasts (matter, channel, template, event_id, position, after, told, finished_at)
    SELECT %(matter)s, %(channel)s, %(template)s, CASE WHEN told = 0 THEN coalesce(other.event_id, %(event_id)s)
           ELSE %(event_id)s END, %(position)s, coalesce(last_user, %(nobody)s), told,
           CASE WHEN told = 0 AND other.event_id IS NOT NULL THEN now() END
    FROM own LEFT JOIN other ON true
    ON CONFLICT (matter, channel, template) DO NOTHING
"""
_READ = """
    SELECT event_id, after, finished_at IS NOT NULL AS finished FROM broadcasts
    WHERE matter = %(matter)s AND channel = %(channel)s AND template = %(template)s
    FOR UPDATE
"""
_MOVE = text("""
    UPDATE broadcasts
    SET after = :after, told = told + :told, finished_at = CASE WHEN :finished THEN now() END,
        skipped = skipped || coalesce((
            SELECT jsonb_object_agg(reason, number::bigint + coalesce((skipped ->> reason)::bigint, 0))
            FROM jsonb_each_text(:skipped) AS given(reason, number)), '{}')
    WHERE matter = :matter AND channel = :channel AND template = :template
""").bindparams(bindparam("skipped", type_=JSONB))


@dataclass(frozen=True, slots=True)
class Progress:
    """The event that sends a broadcast, and the last follower that was looked at."""

    event_id: UUID
    after: UUID
    finished: bool


def locked(db: Connection, key: Key, delivery: Delivery) -> Progress:
    """The progress of a broadcast, begun if need be, and locked until the transaction ends."""
    given = {**key._asdict(), "event_id": delivery.event.id, "position": delivery.event.position}
    if (row := db.exec_driver_sql(_READ, given).first()) is None:
        db.exec_driver_sql(_BEGIN, {**given, "nobody": NOBODY_YET})
        row = db.exec_driver_sql(_READ, given).one()
    return Progress(*row)


def move(
    db: Connection, key: Key, *, after: UUID, finished: bool, told: int = 0, skipped: Mapping[str, int] | None = None
) -> None:
    """Note that all followers up to ``after`` are looked at, and how many got a row in the ledger."""
    given: dict[str, Any] = {**key._asdict(), "after": after, "finished": finished, "told": told}
    db.execute(_MOVE, {**given, "skipped": dict(skipped or {})})
