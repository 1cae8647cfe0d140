"""What messages need to know beside their event, read from the App DB while they are planned."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.events import Event
from fundlyhub.events.catalogue.user import UserLoggedIn
from fundlyhub.processors import registers
from fundlyhub.processors.notifications import people
from fundlyhub.processors.notifications.people import Person
from fundlyhub.processors.registers import Entity
from fundlyhub.processors.writes.recipients.places import place_of

_GIFT = "SELECT campaign_id, donor_id, name, email, amount, currency FROM gift_donors WHERE donation_id = %(id)s"
_PAYOUT = "SELECT user_id, amount, currency FROM payout_requests WHERE request_id = %(id)s"
_NAME = "SELECT name FROM entities WHERE kind = 'user' AND id = %(id)s AND shown"
# New is a place that was not there before, to somebody who had been elsewhere before.
_SIGN_INS = """
    SELECT place = %(place)s AS here, (occurred_at, position) < (%(at)s, %(position)s) AS earlier
    FROM sign_ins WHERE user_id = %(user_id)s
"""


class Missing(Exception):
    """Something that a message needs is not known; it may still come."""


class Unwanted(Exception):
    """There is nothing to tell."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """What is known of a campaign, whoever may see it: for those who own it, gave to it or follow it."""

    title: str | None
    url: str | None
    owner_id: UUID
    currency: str | None
    deleted: bool


@dataclass(frozen=True, slots=True)
class Gift:
    """Who gave what; ``name`` and ``email`` are a guest's."""

    campaign_id: UUID
    donor_id: UUID | None
    name: str | None = field(repr=False)
    email: str | None = field(repr=False)
    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Payout:
    """Who asked for which payout."""

    user_id: UUID
    amount: Decimal
    currency: str


class Lookup:
    """Questions about one transaction's state of the App DB."""

    def __init__(self, db: Connection, site_url: str) -> None:
        self._db, self._site = db, site_url.rstrip("/")

    def user(self, user_id: UUID) -> Person | None:
        """A user, locked; None when nobody told us of him."""
        return people.read(self._db, [user_id]).get(user_id)

    def known_user(self, user_id: UUID, name: str | None = None, email: str | None = None) -> Person:
        """A user, by what his events told, else by what this one tells. Raises Missing when neither does.

        The API service may have written his phone and his language before his registration was taken up: he is known
        once an event has told his name or address, or that he is gone.
        """
        found = self.user(user_id) or Person(user_id)
        if found.email or found.deleted:
            return found
        if email is not None:
            return replace(found, name=found.name or name, email=email)
        if found.name is None:
            raise Missing("unknown recipient")
        return found

    def donor(self, donor_id: UUID | None, name: str | None, email: str | None) -> Person:
        """A donor: by his account, else by what the payment told. Raises Missing when neither is known."""
        return Person(None, name=name, email=email) if donor_id is None else self.known_user(donor_id, name, email)

    def campaign(self, campaign_id: UUID) -> Campaign | None:
        """A campaign; None when nobody told us whose it is."""
        entity = Entity("campaign", campaign_id)
        fields: dict[str, Any] = registers.read(self._db, [entity])[entity]
        if not fields.get("owner_id"):
            return None
        slug = fields.get("slug")
        return Campaign(
            title=fields.get("title"),
            url=f"{self._site}/campaigns/{slug}" if slug else None,
            owner_id=UUID(fields["owner_id"]),
            currency=fields.get("currency"),
            deleted=bool(fields.get("deleted")),
        )

    def owned(self, campaign_id: UUID) -> Campaign:
        """A campaign whose owner is told something. Raises Missing."""
        if found := self.campaign(campaign_id):
            return found
        raise Missing("unknown campaign")

    def gift(self, donation_id: UUID) -> Gift:
        """A donation. Raises Missing."""
        if row := self._db.exec_driver_sql(_GIFT, {"id": donation_id}).first():
            return Gift(*row)
        raise Missing("unknown donation")

    def payout(self, request_id: UUID) -> Payout:
        """A payout. Raises Missing."""
        if row := self._db.exec_driver_sql(_PAYOUT, {"id": request_id}).first():
            return Payout(*row)
        raise Missing("unknown payout")

    def public_name(self, user_id: UUID) -> str | None:
        """What everybody may call a user, if anything."""
        name: str | None = self._db.exec_driver_sql(_NAME, {"id": user_id}).scalar()
        return name

    def is_withdrawn(self, update_id: UUID) -> bool:
        """Whether an update has been deleted."""
        entity = Entity("project_update", update_id)
        return bool(registers.read(self._db, [entity])[entity].get("deleted"))

    def is_new_place(self, event: Event, payload: UserLoggedIn) -> bool:
        """Whether somebody who had signed in elsewhere before signs in from here for the first time.

        Raises Missing until this very sign-in is written down: then, most likely, the earlier ones are too.
        """
        given = {
            "user_id": payload.user_id, "place": place_of(payload), "at": event.timestamp, "position": event.position,
        }  # fmt: skip
        rows = self._db.exec_driver_sql(_SIGN_INS, given).all()
        if not any(row.here for row in rows):
            raise Missing("sign-in not written down")
        been_here = any(row.here and row.earlier for row in rows)
        return not been_here and any(row.earlier for row in rows)
