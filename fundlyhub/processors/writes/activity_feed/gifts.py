"""What the feed knows of donations: enough to tell of them, and nothing that names an anonymous donor.

A donor is named only when an event has said that the gift is not anonymous, and none that it is. What is
known of a gift only grows, by joins that do not depend on order or number: the completion of the lowest
position, and three flags. A donor who turns out to be anonymous is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.database.arrays import array, arrays
from fundlyhub.events import Event
from fundlyhub.events.catalogue.donation import DonationCompleted, DonationInitiated, DonationRefunded
from fundlyhub.processors.registers import Entity
from fundlyhub.processors.writes.activity_feed.activities import Activity


class Completion(NamedTuple):
    """A gift as its first completion tells it; ``amount`` in major units."""

    position: int
    occurred_at: datetime
    campaign_id: UUID
    donor_id: UUID | None
    amount: Decimal
    currency: str


class Gift(NamedTuple):
    """All that is known of a donation."""

    completion: Completion | None = None
    named: bool = False
    anonymous: bool = False
    returned: bool = False

    def joined(self, other: Gift) -> Gift:
        """Two findings about one donation as one."""
        completions = [gift.completion for gift in (self, other) if gift.completion]
        first = min(completions, key=lambda completion: completion.position, default=None)
        anonymous = self.anonymous or other.anonymous
        if first and anonymous:
            first = first._replace(donor_id=None)
        return Gift(first, self.named or other.named, anonymous, self.returned or other.returned)

    def activity(self) -> Activity | None:
        """Its line in the timelines, unless it is not paid, or was given back whole."""
        gift = self.completion
        if gift is None or self.returned:
            return None
        known = self.named and not self.anonymous and gift.donor_id is not None
        donor = Entity("user", gift.donor_id) if known and gift.donor_id else None
        campaign = Entity("campaign", gift.campaign_id)
        return Activity(
            gift.position, gift.occurred_at, "donation_made", donor, campaign,
            amount=gift.amount, currency=gift.currency,
        )  # fmt: skip


def gifts(events: Iterable[Event]) -> dict[UUID, Gift]:
    """What these events say, per donation. Pure."""
    found: dict[UUID, Gift] = {}
    for event in events:
        match event.payload:
            case DonationInitiated() as begun:
                said = Gift(named=not begun.is_anonymous, anonymous=begun.is_anonymous)
            case DonationCompleted() as paid:
                said = Gift(_completion(event, paid), paid.is_anonymous is False, paid.is_anonymous is True)
            case DonationRefunded() as refund:
                said = Gift(returned=refund.refund_amount >= refund.original_amount)
            case _:
                continue
        donation_id: UUID = event.payload.donation_id
        found[donation_id] = found.get(donation_id, Gift()).joined(said)
    return found


def _completion(event: Event, paid: DonationCompleted) -> Completion:
    assert event.position is not None
    return Completion(event.position, event.timestamp, paid.campaign_id, paid.donor_id, paid.amount, paid.currency)


_NAMES = (
    "ids", "positions", "times", "campaigns", "donors", "amounts", "currencies", "named", "anonymous", "returned",
)  # fmt: skip

_GIVEN = """
    unnest(%(ids)s::uuid[], %(positions)s::bigint[], %(times)s::timestamptz[], %(campaigns)s::uuid[],
           %(donors)s::uuid[], %(amounts)s::numeric[], %(currencies)s::text[],
           %(named)s::boolean[], %(anonymous)s::boolean[], %(returned)s::boolean[])
    AS given(donation_id, position, occurred_at, campaign_id, donor_id, amount, currency, named, anonymous, returned)
"""

# Waits for a neighbour that is inserting the same donation; after this, all of them are there.
_INSERT = f"""
    INSERT INTO feed_gifts
        (donation_id, position, occurred_at, campaign_id, donor_id, amount, currency, named, anonymous, returned)
    SELECT * FROM {_GIVEN}
    ORDER BY donation_id
    ON CONFLICT (donation_id) DO NOTHING
    RETURNING donation_id
"""  # noqa: S608 - put together from constants

_LOCK = """
    SELECT donation_id, position, occurred_at, campaign_id, donor_id, amount, currency, named, anonymous, returned
    FROM feed_gifts
    WHERE donation_id = ANY (%(ids)s::uuid[])
    ORDER BY donation_id
    FOR UPDATE
"""

_UPDATE = f"""
    UPDATE feed_gifts AS gift
    SET position = given.position, occurred_at = given.occurred_at, campaign_id = given.campaign_id,
        donor_id = given.donor_id, amount = given.amount, currency = given.currency,
        named = given.named, anonymous = given.anonymous, returned = given.returned
    FROM {_GIVEN}
    WHERE gift.donation_id = given.donation_id
"""  # noqa: S608 - put together from constants


def apply(db: Connection, said: Mapping[UUID, Gift]) -> list[tuple[Gift, Gift]]:
    """Add what is said to what is known, and say what each gift was and is.

    The gifts stay locked until the transaction ends.
    """
    if not said:
        return []
    inserted = set(db.exec_driver_sql(_INSERT, _arrays(said)).scalars())
    changes = [(Gift(), said[donation_id]) for donation_id in inserted]
    known = _lock(db, [donation_id for donation_id in said if donation_id not in inserted])
    changed = {}
    for donation_id, before in known.items():
        after = before.joined(said[donation_id])
        if after != before:
            changed[donation_id] = after
            changes.append((before, after))
    if changed:
        db.exec_driver_sql(_UPDATE, _arrays(changed))
    return changes


def _lock(db: Connection, ids: Sequence[UUID]) -> dict[UUID, Gift]:
    if not ids:
        return {}
    rows = db.exec_driver_sql(_LOCK, {"ids": array(ids)}).all()
    return {row[0]: Gift(Completion(*row[1:7]) if row[1] is not None else None, *row[7:]) for row in rows}


def _arrays(said: Mapping[UUID, Gift]) -> dict[str, Any]:
    nothing = (None,) * len(Completion._fields)
    return arrays(_NAMES, [(key, *(gift.completion or nothing), *gift[1:]) for key, gift in said.items()])
