"""Lookups in the App DB for the content of messages, while they are planned."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any
from urllib.parse import quote
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.database.arrays import array
from fundlyhub.errors import Held
from fundlyhub.events import Event
from fundlyhub.events.catalogue.donation import DonationRefunded
from fundlyhub.events.catalogue.user import UserLoggedIn
from fundlyhub.processing import Delivery
from fundlyhub.processors.notifications.contacts import Person
from fundlyhub.processors.notifications.planning import overtaken, refunds
from fundlyhub.processors.notifications.planning.refunds import Telling
from fundlyhub.processors.shared import last_writer_fields
from fundlyhub.processors.shared.last_writer_fields import Entity
from fundlyhub.processors.writes.recipients.places import former_place_of, place_of

_GIFT = "SELECT campaign_id, donor_id, name, email, amount, currency FROM gift_donors WHERE donation_id = %(id)s"
_PAYOUT = "SELECT user_id, amount, currency FROM payout_requests WHERE request_id = %(id)s"
_NAMES = """
    SELECT id, CASE WHEN shown THEN name END AS name FROM entities WHERE kind = 'user' AND id = ANY (%(ids)s::uuid[])
"""
# A place is new if the user has not signed in there before, but has elsewhere.
_SIGN_INS = """
    SELECT place = ANY (%(places)s::text[]) AS here, (occurred_at, position) < (%(at)s, %(position)s) AS earlier
    FROM sign_ins WHERE user_id = %(user_id)s
"""


class Missing(Exception):
    """Something that a message needs is not known yet."""


class Unwanted(Exception):
    """There is nothing to send."""


def known_recipient(said: Person, contact: Person | None) -> Person:
    """The recipient: the contact if it is known, else what the event itself says. Raises Missing.

    The API service may write phone and language before the registration is processed. So a contact counts as known
    once an event has given its name or address, or its deletion.
    """
    if said.user_id is None:
        return said
    found = contact or Person(said.user_id)
    if found.email or found.deleted:
        return found
    if said.email is not None:
        return replace(found, name=found.name or said.name, email=said.email)
    if found.name is None:
        raise Missing("unknown recipient")
    return found


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign, public or not: for messages to its owner, donors and followers."""

    title: str | None
    url: str | None
    owner_id: UUID
    currency: str | None
    deleted: bool


@dataclass(frozen=True, slots=True)
class Gift:
    """A donation; ``name`` and ``email`` are a guest's."""

    campaign_id: UUID
    donor_id: UUID | None
    name: str | None = field(repr=False)
    email: str | None = field(repr=False)
    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Payout:
    """A requested payout."""

    user_id: UUID
    amount: Decimal
    currency: str


class Lookup:
    """Lookups in one transaction, each of which is done once."""

    def __init__(self, db: Connection, site_url: str) -> None:
        self._db, self._site = db, site_url.rstrip("/")
        self._fields: dict[Entity, dict[str, Any]] = {}
        self._names: dict[UUID, str | None] = {}
        self.unknown: set[Entity] = set()
        """Entities that were looked up and that no event has named yet."""
        self._decided: set[UUID] = set()

    def foresee(self, deliveries: Collection[Delivery]) -> None:
        """Do the most frequent lookups of these events at once, and lock what they share."""
        self._decided |= {one.event.id for one in deliveries if one.replayed_after is not None}
        payloads = [one.event.payload for one in deliveries]
        refunds.lock(self._db, {one.donation_id for one in payloads if isinstance(one, DonationRefunded)})
        campaigns = _ids(payloads, "campaign_id")
        self._fields |= last_writer_fields.read(self._db, [Entity("campaign", id_) for id_ in campaigns])
        self._read_names(_ids(payloads, "donor_id", "follower_id"))

    def campaign(self, campaign_id: UUID) -> Campaign | None:
        """A campaign; None as long as its owner is unknown."""
        entity = Entity("campaign", campaign_id)
        fields = self._fields_of(entity)
        if not fields.get("owner_id"):
            self.unknown.add(entity)
            return None
        return Campaign(
            title=fields.get("title"),
            url=self._link(fields.get("slug") or ""),
            owner_id=UUID(fields["owner_id"]),
            currency=fields.get("currency"),
            deleted=bool(fields.get("deleted")),
        )

    def _link(self, slug: str) -> str | None:
        """Quoted: a slug that an earlier release took may hold anything, a line of text or another address too."""
        return f"{self._site}/campaigns/{quote(slug, safe='')}" if slug.strip(".") else None

    def owned(self, campaign_id: UUID) -> Campaign:
        """A campaign whose owner gets a message. Raises Missing."""
        if found := self.campaign(campaign_id):
            return found
        raise Missing("unknown campaign")

    def gift(self, donation_id: UUID) -> Gift:
        """A donation. Raises Missing."""
        if row := self._db.exec_driver_sql(_GIFT, {"id": donation_id}).first():
            return Gift(*row)
        raise Missing("unknown donation")

    def refund(self, event: Event, payload: DonationRefunded, gift: Gift) -> Telling:
        """The amounts of a refund's message. Raises Missing, Unwanted, and Held when it is more than was given."""
        telling = refunds.find(self._db, event, payload)
        if telling is None:
            raise Missing("refund not written down")
        if not telling.amount:
            raise Unwanted("nothing more was returned")
        if telling.total > gift.amount:
            self.hold(event, "more would be returned than was given")
        refunds.write_down(self._db, event, payload, telling)
        return telling

    def hold(self, event: Event, reason: str) -> None:
        """Raise Held, unless a person has replayed the event."""
        if event.id not in self._decided:
            raise Held(f"{reason}: replay it to tell it all the same, or discard it")

    def refuse_overtaken(self, event: Event) -> None:
        """Raise Unwanted when a later event has overtaken this one."""
        if reason := overtaken.reason(self._db, event):
            raise Unwanted(reason)

    def payout(self, request_id: UUID) -> Payout:
        """A payout. Raises Missing."""
        if row := self._db.exec_driver_sql(_PAYOUT, {"id": request_id}).first():
            return Payout(*row)
        raise Missing("unknown payout")

    def public_name(self, user_id: UUID) -> str | None:
        """A user's public name, if any."""
        if user_id not in self._names:
            self._read_names([user_id])
        if user_id not in self._names:
            self.unknown.add(Entity("user", user_id))
        return self._names.get(user_id)

    def is_withdrawn(self, update_id: UUID) -> bool:
        """Whether an update has been deleted."""
        return bool(self._fields_of(Entity("project_update", update_id)).get("deleted"))

    def is_new_place(self, event: Event, payload: UserLoggedIn) -> bool:
        """Whether a user who has signed in elsewhere before signs in from here for the first time.

        Raises Missing until this sign-in is written down, since earlier ones may be missing too.
        """
        given = {
            "user_id": payload.user_id, "places": [place_of(payload), former_place_of(payload)], "at": event.timestamp,
            "position": event.position,
        }  # fmt: skip
        rows = self._db.exec_driver_sql(_SIGN_INS, given).all()
        if not any(row.here for row in rows):
            raise Missing("sign-in not written down")
        been_here = any(row.here and row.earlier for row in rows)
        return not been_here and any(row.earlier for row in rows)

    def _fields_of(self, entity: Entity) -> Mapping[str, Any]:
        if entity not in self._fields:
            self._fields |= last_writer_fields.read(self._db, [entity])
        return self._fields[entity]

    def _read_names(self, users: Collection[UUID]) -> None:
        if users:
            self._names |= {row.id: row.name for row in self._db.exec_driver_sql(_NAMES, {"ids": array(users)})}


def _ids(payloads: Collection[Any], *names: str) -> set[UUID]:
    """The ids in these fields. In a payload of another package they may be anything."""
    found = (getattr(one, name, None) for one in payloads for name in names)
    return {id_ for id_ in found if isinstance(id_, UUID)}
