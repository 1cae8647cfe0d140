"""Lifting suppressions: one of them, or all of a bad hour; and counting the messages that they have stopped.

An address is free again when no cause is left, so reports from before or after the bad hour still hold. A bounce that
comes at the same moment waits for the row's lock, and then suppresses anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Row

from fundlyhub.channels.messages import ChannelName
from fundlyhub.database.arrays import array
from fundlyhub.database.audited import named
from fundlyhub.processors.notifications.suppressions.listing import MATCHES, NOT_RECORDED, Filter

# One at a time, so that two calls do not give a cause to the same row of an earlier release.
_ALONE = "SELECT pg_advisory_xact_lock(hashtext('fundlyhub suppressions lifting'))"

_GIVE_CAUSES = f"""
    INSERT INTO suppression_causes (channel, address_hash, reason, told_by, said, told_at, user_id, device_id)
    SELECT channel, address_hash, reason, '{NOT_RECORDED}', '{NOT_RECORDED}', since, NULL::uuid, NULL::uuid
    FROM suppressions AS known WHERE NOT EXISTS (
        SELECT FROM suppression_causes AS cause
        WHERE cause.channel = known.channel AND cause.address_hash = known.address_hash
          AND cause.reason = known.reason AND lifted_at IS NULL)
    UNION ALL
    SELECT 'push', 'device ' || id, 'gone', '{NOT_RECORDED}', '{NOT_RECORDED}', gone_at, user_id, id
    FROM devices AS device WHERE gone_at IS NOT NULL AND NOT EXISTS (
        SELECT FROM suppression_causes AS cause WHERE cause.device_id = device.id AND lifted_at IS NULL)
"""  # noqa: S608  # our own text

_LOCK = f"""
    SELECT channel, address_hash FROM suppressions AS known
    WHERE (channel, address_hash) IN (
        SELECT channel, address_hash FROM suppression_causes WHERE lifted_at IS NULL AND {MATCHES})
    ORDER BY channel, address_hash FOR UPDATE
"""  # noqa: S608

# Only the addresses that are locked: a bounce that was committed since then stays.
_LIFT = f"""
    UPDATE suppression_causes SET lifted_at = clock_timestamp(), lifted_by = %(who)s
    WHERE lifted_at IS NULL AND {MATCHES}
      AND (device_id IS NOT NULL OR (channel, address_hash) IN (
          SELECT * FROM unnest(%(channels)s::text[], %(hashes)s::text[])))
    RETURNING channel, address_hash, user_id, reason, told_by, said, told_at, device_id
"""  # noqa: S608

_LEFT = """
    SELECT given.channel, given.hash, min(reason)
    FROM unnest(%(channels)s::text[], %(hashes)s::text[]) AS given(channel, hash)
    LEFT JOIN suppression_causes AS cause
        ON cause.channel = given.channel AND cause.address_hash = given.hash
        AND cause.device_id IS NULL AND lifted_at IS NULL
    GROUP BY given.channel, given.hash
"""
_FREE = """
    DELETE FROM suppressions AS known USING unnest(%(channels)s::text[], %(hashes)s::text[]) AS given(channel, hash)
    WHERE known.channel = given.channel AND known.address_hash = given.hash
"""
_WEAKEN = """
    UPDATE suppressions AS known SET reason = given.reason
    FROM unnest(%(channels)s::text[], %(hashes)s::text[], %(reasons)s::text[]) AS given(channel, hash, reason)
    WHERE known.channel = given.channel AND known.address_hash = given.hash AND known.reason <> given.reason
"""
_DEVICES = """
    UPDATE devices AS device SET gone_at = NULL
    WHERE id = ANY (%(devices)s::uuid[]) AND gone_at IS NOT NULL AND NOT EXISTS (
        SELECT FROM suppression_causes AS cause WHERE cause.device_id = device.id AND lifted_at IS NULL)
"""
_DEVICE = "UPDATE devices SET gone_at = NULL WHERE token = %(token)s AND gone_at IS NOT NULL"

_SKIPPED = """
    WITH given AS (
        SELECT * FROM unnest(%(channels)s::text[], %(hashes)s::text[], %(users)s::uuid[], %(since)s::timestamptz[])
            AS given(channel, hash, user_id, since)
    ), skipped AS (
        SELECT id, channel, recipient, user_id, changed_at FROM notifications
        WHERE state = 'skipped' AND changed_at >= (SELECT min(since) FROM given)
          AND reason IN ('address gone', 'address bounced', 'recipient complained', 'no device')
    ), found AS (
        SELECT id FROM skipped JOIN given USING (channel, user_id) WHERE changed_at >= since
        UNION
        SELECT id FROM skipped JOIN given ON given.channel = skipped.channel AND given.hash = skipped.recipient
        WHERE changed_at >= since
    )
    SELECT id, count(*) OVER () FROM found ORDER BY id LIMIT %(limit)s
"""


class Lifted(NamedTuple):
    """A lifted cause; ``free`` says whether the address gets messages again, or another cause is left."""

    channel: ChannelName
    address_hash: str
    user_id: UUID | None
    reason: str
    told_by: str
    said: str
    since: datetime
    free: bool


def undo(db: Connection, wanted: Filter, *, who: str) -> list[Lifted]:
    """Lift the suppressions that match, in the caller's transaction; a second time finds none.

    Raises WrongUse when ``who`` is no name.
    """
    by = named(who)
    db.exec_driver_sql(_ALONE)
    db.exec_driver_sql(_GIVE_CAUSES)
    locked = _columns(db.exec_driver_sql(_LOCK, wanted.values()).all())
    causes = db.exec_driver_sql(_LIFT, {**wanted.values(), **locked, "who": by}).all()
    left = {(channel, hash): reason for channel, hash, reason in db.exec_driver_sql(_LEFT, locked)}
    db.exec_driver_sql(_FREE, _columns([key for key, reason in left.items() if reason is None]))
    kept = [(key, reason) for key, reason in left.items() if reason is not None]
    db.exec_driver_sql(_WEAKEN, {**_columns([key for key, _ in kept]), "reasons": [reason for _, reason in kept]})
    db.exec_driver_sql(_DEVICES, {"devices": array(row.device_id for row in causes)})
    return [_lifted(row, left) for row in causes]


def lift(db: Connection, channel: ChannelName, address_hash: str, *, who: str, token: str | None = None) -> bool:
    """Lift the suppression of an address, or of the device of a ``token``; returns whether there was one."""
    found = undo(db, Filter(channel=channel, address_hash=address_hash), who=who)
    revived = db.exec_driver_sql(_DEVICE, {"token": token}).rowcount if token is not None else 0
    return bool(found) or revived > 0


def skipped_messages(db: Connection, freed: Sequence[Lifted], *, limit: int) -> tuple[int, list[UUID]]:
    """How many messages were skipped since these addresses were suppressed, and the ids of some of them."""
    if not freed:
        return 0, []
    given = {
        **_columns([(one.channel, one.address_hash) for one in freed]),
        "users": array(one.user_id for one in freed),
        "since": array(one.since for one in freed),
        "limit": limit,
    }
    rows = db.exec_driver_sql(_SKIPPED, given).all()
    return (rows[0][1] if rows else 0), [row[0] for row in rows]


def _lifted(row: Row[Any], left: Mapping[tuple[str, str], str | None]) -> Lifted:
    free = row.device_id is not None or left.get((row.channel, row.address_hash)) is None
    return Lifted(row.channel, row.address_hash, row.user_id, row.reason, row.told_by, row.said, row.told_at, free)


def _columns(keys: Sequence[Sequence[object]]) -> dict[str, object]:
    return {"channels": [key[0] for key in keys], "hashes": [key[1] for key in keys]}
