"""The addresses that are not written to any more, known by their keyed hashes only."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, NamedTuple

from sqlalchemy import Connection

from fundlyhub.channels.messages import ChannelName

Why = Literal["bounced", "complained"]
"""A bounced address gets nothing any more; one whose owner complained gets transactional messages only."""

_SUPPRESS = """
    INSERT INTO suppressions AS known (channel, address_hash, reason)
    SELECT * FROM unnest(%(channels)s::text[], %(hashes)s::text[], %(reasons)s::text[]) AS given(channel, hash, reason)
    ORDER BY channel, hash
    ON CONFLICT (channel, address_hash) DO UPDATE SET reason = excluded.reason
    WHERE excluded.reason = 'bounced' AND known.reason <> 'bounced'
"""

_LIFT = "DELETE FROM suppressions WHERE channel = %(channel)s AND address_hash = %(hash)s"

_ALL = """
    SELECT channel, address_hash, reason, since FROM suppressions
    ORDER BY since DESC, channel, address_hash LIMIT %(limit)s
"""


class Suppression(NamedTuple):
    """One address that is not written to."""

    channel: str
    address_hash: str
    reason: str
    since: datetime


def suppress(db: Connection, found: Mapping[tuple[str, str], Why]) -> None:
    """Add addresses by channel and hash. The stronger reason holds: who complained may bounce, not the reverse."""
    if found:
        rows = [(channel, hash, why) for (channel, hash), why in found.items()]
        channels, hashes, reasons = (list(column) for column in zip(*rows, strict=True))
        db.exec_driver_sql(_SUPPRESS, {"channels": channels, "hashes": hashes, "reasons": reasons})


def lift(db: Connection, channel: ChannelName, address_hash: str) -> bool:
    """Write to an address again; whether it was suppressed."""
    return db.exec_driver_sql(_LIFT, {"channel": channel, "hash": address_hash}).rowcount > 0


def suppressions(db: Connection, *, limit: int) -> list[Suppression]:
    """The suppressed addresses, the latest first."""
    return [Suppression(*row) for row in db.exec_driver_sql(_ALL, {"limit": limit})]
