"""Suppressing an address or a device, with the cause: who reported it, why, and about which message.

`suppressions` has one row per address, `suppression_causes` one per report of a provider or a person; a lifted cause
stays, with who lifted it and when. Devices are not in `suppressions`: they have `devices.gone_at`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.channels.messages import ChannelName
from fundlyhub.database.arrays import Columns

Why = Literal["bounced", "complained"]
"""A bounced address gets no messages; after a complaint an address gets transactional messages only."""

_CAUSES = Columns(
    channel="code", address_hash="text", reason="code", told_by="text", said="text", user_id="uuid",
    notification_id="uuid",
)  # fmt: skip
# One statement, so that each address has a cause to undo it by. The stronger reason holds, which is the first in the
# alphabet: an address with a complaint may bounce later, not the reverse.
_SUPPRESS = f"""
    WITH given AS (
        SELECT * FROM {_CAUSES.given}
    ), written AS (
        INSERT INTO suppressions AS known (channel, address_hash, reason)
        SELECT channel, address_hash, min(reason) FROM given GROUP BY channel, address_hash
        ORDER BY channel, address_hash
        ON CONFLICT (channel, address_hash) DO UPDATE SET reason = excluded.reason
        WHERE excluded.reason = 'bounced' AND known.reason <> 'bounced'
    )
    INSERT INTO suppression_causes ({_CAUSES}) SELECT * FROM given
"""  # noqa: S608 - put together from constants

_DEVICE_IS_GONE = """
    WITH gone AS (
        UPDATE devices SET gone_at = clock_timestamp() WHERE token = %(token)s AND gone_at IS NULL
        RETURNING id, user_id
    )
    INSERT INTO suppression_causes (channel, address_hash, reason, told_by, said, user_id, notification_id, device_id)
    SELECT 'push', %(hash)s, 'gone', %(told_by)s, %(said)s, user_id, %(message)s::uuid, id FROM gone
"""


class Cause(NamedTuple):
    """The cause of a suppression: ``told_by`` is a provider or a person, ``said`` is a reason without addresses."""

    channel: ChannelName
    address_hash: str
    reason: Why
    told_by: str
    said: str
    user_id: UUID | None = None
    notification_id: UUID | None = None


def suppress(db: Connection, causes: Sequence[Cause]) -> None:
    """Add addresses by channel and hash."""
    if causes:
        db.exec_driver_sql(_SUPPRESS, _CAUSES.bound(causes))


def device_is_gone(
    db: Connection, token: str, address_hash: str, told_by: str, said: str, notification_id: UUID | None
) -> None:
    """Mark a device as gone: nothing is sent to it any more."""
    given = {"token": token, "hash": address_hash, "told_by": told_by, "said": said, "message": notification_id}
    db.exec_driver_sql(_DEVICE_IS_GONE, given)
