"""The people that messages go to: their addresses, devices and preferences, locked while messages are planned."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import time
from functools import cache
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from fundlyhub.channels.messages import ChannelName
from fundlyhub.database.arrays import array
from fundlyhub.errors import AddressGone
from fundlyhub.processors.notifications.catalogue import Category
from fundlyhub.processors.notifications.suppressions import Cause, Why, device_is_gone, suppress
from fundlyhub.processors.shared.address_hashes import address_hash, address_hashes

_CONTACTS = """
    SELECT contact.user_id, name, email, phone, locale, time_zone, quiet_from, quiet_until, suspended, deleted,
           coalesce((SELECT jsonb_object_agg(category || '/' || channel, wanted) FROM preferences AS wish
                     WHERE wish.user_id = contact.user_id), '{}') AS wishes,
           ARRAY(SELECT token FROM devices AS device
                 WHERE device.user_id = contact.user_id AND gone_at IS NULL ORDER BY token) AS tokens
    FROM contacts AS contact
    WHERE contact.user_id = ANY (%(users)s::uuid[])
    ORDER BY contact.user_id
"""
# Locked, so that two workers count a user's messages one after the other.
_LOCKED = _CONTACTS + "FOR NO KEY UPDATE OF contact"
_SUPPRESSED = """
    SELECT address_hash, reason FROM suppressions
    WHERE channel = %(channel)s AND address_hash = ANY (%(hashes)s::text[])
"""

UNASKED: Mapping[tuple[Category | str, ChannelName], bool] = {("social", "email"): False}
"""Defaults for people without a preference; everything that is not here is on."""


@dataclass(frozen=True, slots=True)
class Person:
    """A recipient: a user, or a guest of whom only the address is known."""

    user_id: UUID | None
    name: str | None = field(default=None, repr=False)
    email: str | None = field(default=None, repr=False)
    phone: str | None = field(default=None, repr=False)
    locale: str = "en"
    time_zone: str = "UTC"
    quiet_from: time | None = None
    quiet_until: time | None = None
    suspended: bool = False
    deleted: bool = False
    wishes: Mapping[str, bool] = field(default_factory=dict)
    tokens: tuple[str, ...] = field(default=(), repr=False)

    @property
    def zone(self) -> ZoneInfo:
        """Their time zone; UTC where it is unknown."""
        return _zone(self.time_zone)

    def wants(self, category: Category | str, channel: ChannelName) -> bool:
        """Their preference for this category, else for the whole channel, else the default."""
        for key in (f"{category}/{channel}", f"*/{channel}"):
            if key in self.wishes:
                return self.wishes[key]
        return UNASKED.get((category, channel), True)

    def addresses(self, channel: ChannelName) -> tuple[str, ...]:
        """The addresses of a channel: one address, or the token of each device."""
        if channel == "push":
            return self.tokens
        address = self.email if channel == "email" else self.phone
        return (address,) if address else ()


@cache
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # the API may have written anything
        return ZoneInfo("UTC")


def read(db: Connection, users: Collection[UUID]) -> dict[UUID, Person]:
    """The contacts of these users, locked until the transaction ends; a user without a contact is left out."""
    return _persons(db, _LOCKED, users)


def look(db: Connection, users: Collection[UUID]) -> dict[UUID, Person]:
    """The contacts of these users, not locked."""
    return _persons(db, _CONTACTS, users)


def _persons(db: Connection, query: str, users: Collection[UUID]) -> dict[UUID, Person]:
    rows = db.exec_driver_sql(query, {"users": array(users)}) if users else ()
    return {row.user_id: Person(**{**row._mapping, "tokens": tuple(row.tokens)}) for row in rows}


def suppressed(db: Connection, channel: ChannelName, addresses: Collection[str], secret: bytes) -> dict[str, str]:
    """Which of these addresses are suppressed, and why: bounced or complained."""
    hashes = {address: address_hashes(channel, address, secret) for address in addresses}
    asked = sorted({hashed for some in hashes.values() for hashed in some})
    rows = db.exec_driver_sql(_SUPPRESSED, {"channel": channel, "hashes": asked})
    reasons: dict[str, str] = {row.address_hash: row.reason for row in rows}
    found = {address: [reasons[one] for one in some if one in reasons] for address, some in hashes.items()}
    return {address: min(some) for address, some in found.items() if some}  # bounced is the stronger one


def forget(
    db: Connection, channel: ChannelName, address: str, secret: bytes, *, error: AddressGone, told_by: str,
    user_id: UUID | None, notification_id: UUID,
) -> None:  # fmt: skip
    """Suppress an address or a device after the provider has refused it for good."""
    hashed = address_hash(channel, address, secret)
    if channel == "push":
        device_is_gone(db, address, hashed, told_by, str(error), notification_id)
        return
    why: Why = "complained" if error.unwanted else "bounced"
    suppress(db, [Cause(channel, hashed, why, told_by, str(error), user_id, notification_id)])
