"""Listing suppressions: by whom, why and since when; and those that were lifted."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection

NOT_RECORDED = "not recorded"
"""The cause of a suppression that an earlier release has written."""

MATCHES = """
    (%(since)s::timestamptz IS NULL OR told_at >= %(since)s) AND (%(until)s::timestamptz IS NULL OR told_at < %(until)s)
    AND (%(channel)s::text IS NULL OR channel = %(channel)s) AND (%(reason)s::text IS NULL OR reason = %(reason)s)
    AND (%(told_by)s::text IS NULL OR told_by = %(told_by)s)
    AND (%(address_hash)s::text IS NULL OR address_hash = %(address_hash)s)
"""
"""SQL that picks causes, or suppressions with theirs, by a Filter."""

# An address shows the first cause of the reason that holds.
_LISTED = f"""
    WITH listed AS (
        SELECT known.channel, known.address_hash, user_id, known.reason, coalesce(told_by, '{NOT_RECORDED}') AS told_by,
               coalesce(said, '{NOT_RECORDED}') AS said, coalesce(told_at, known.since) AS told_at
        FROM suppressions AS known LEFT JOIN LATERAL (
            SELECT * FROM suppression_causes AS cause
            WHERE cause.channel = known.channel AND cause.address_hash = known.address_hash
              AND cause.reason = known.reason AND lifted_at IS NULL
            ORDER BY id LIMIT 1
        ) AS cause ON true
        UNION ALL
        SELECT 'push', coalesce(address_hash, 'device ' || device.id), device.user_id, 'gone',
               coalesce(told_by, '{NOT_RECORDED}'), coalesce(said, '{NOT_RECORDED}'), coalesce(told_at, gone_at)
        FROM devices AS device LEFT JOIN LATERAL (
            SELECT * FROM suppression_causes AS cause
            WHERE cause.device_id = device.id AND lifted_at IS NULL ORDER BY id LIMIT 1
        ) AS cause ON true
        WHERE gone_at IS NOT NULL
    )
    SELECT channel, address_hash, user_id, reason, told_by, said, told_at FROM listed
    WHERE {MATCHES} ORDER BY told_at DESC, channel, address_hash LIMIT %(limit)s
"""  # noqa: S608  # our own text

_LIFTED = f"""
    SELECT channel, address_hash, user_id, reason, told_by, said, told_at, lifted_at, lifted_by FROM suppression_causes
    WHERE lifted_at IS NOT NULL AND {MATCHES} ORDER BY lifted_at DESC, id DESC LIMIT %(limit)s
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter on suppressions: reported from ``since`` on and before ``until``, by this provider or person."""

    since: datetime | None = None
    until: datetime | None = None
    channel: str | None = None
    reason: str | None = None
    told_by: str | None = None
    address_hash: str | None = None

    def values(self) -> dict[str, object]:
        """The parameters of MATCHES."""
        return asdict(self)


class Suppression(NamedTuple):
    """A suppressed address or device. ``lifted_at`` and ``lifted_by`` are set when it was lifted."""

    channel: str
    address_hash: str
    user_id: UUID | None
    reason: str
    told_by: str
    said: str
    since: datetime
    lifted_at: datetime | None = None
    lifted_by: str | None = None


def suppressions(db: Connection, wanted: Filter, *, limit: int) -> list[Suppression]:
    """The suppressed addresses and the devices that are gone, the latest first."""
    return [Suppression(*row) for row in db.exec_driver_sql(_LISTED, {**wanted.values(), "limit": limit})]


def lifted(db: Connection, wanted: Filter, *, limit: int) -> list[Suppression]:
    """The lifted suppressions, the latest first."""
    return [Suppression(*row) for row in db.exec_driver_sql(_LIFTED, {**wanted.values(), "limit": limit})]
