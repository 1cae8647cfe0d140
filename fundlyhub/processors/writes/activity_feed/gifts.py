"""Donations in the feed, without anything that names an anonymous donor.

A donor is named only when an event says that the donation is not anonymous, and none says that it is. The knowledge of
a donation only grows, by joins that do not depend on order or number: the completion of the lowest position, three
flags, and its refunds. A donor who turns out to be anonymous is removed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.database.arrays import Columns, array
from fundlyhub.events import Event
from fundlyhub.events.catalogue.donation import DonationCompleted, DonationInitiated, DonationRefunded
from fundlyhub.processors.shared import refunds
from fundlyhub.processors.shared.last_writer_fields import Entity
from fundlyhub.processors.shared.refunds import NOTHING, ById, Refunds
from fundlyhub.processors.writes.activity_feed.activities import Activity

_refunds = Refunds("feed_refunds")


class Completion(NamedTuple):
    """A donation by its first completion; ``amount`` in major units."""

    position: int
    occurred_at: datetime
    campaign_id: UUID
    donor_id: UUID | None
    amount: Decimal
    currency: str
    event_id: UUID | None


class Gift(NamedTuple):
    """All that is known of a donation.

    ``returned`` means that one refund returns all of it; ``refunded`` is the total of its refunds.
    """

    completion: Completion | None = None
    named: bool = False
    anonymous: bool = False
    returned: bool = False
    refunded: Decimal = NOTHING

    def joined(self, other: Gift) -> Gift:
        """Join two findings about one donation."""
        first = _first(self.completion, other.completion)
        anonymous = self.anonymous or other.anonymous
        if first and anonymous:
            first = first._replace(donor_id=None)
        return self._replace(
            completion=first, named=self.named or other.named, anonymous=anonymous,
            returned=self.returned or other.returned,
        )  # fmt: skip

    def activity(self) -> Activity | None:
        """Its line in the timelines, if it is paid and not returned in full."""
        gift = self.completion
        if gift is None or self.returned or self.refunded >= gift.amount:
            return None
        known = self.named and not self.anonymous and gift.donor_id is not None
        donor = Entity("user", gift.donor_id) if known and gift.donor_id else None
        campaign = Entity("campaign", gift.campaign_id)
        return Activity(
            gift.position, gift.event_id, gift.occurred_at, "donation_made", donor, campaign,
            amount=gift.amount, currency=gift.currency,
        )  # fmt: skip


def _first(known: Completion | None, said: Completion | None) -> Completion | None:
    """The completion of the lower position; of one event, where the log has it now."""
    if known is None or said is None:
        return known or said
    if known.event_id is not None and known.event_id == said.event_id:
        return said
    return known if known.position <= said.position else said


_NOTHING_KNOWN = Gift()


@dataclass(slots=True)
class News:
    """The news of a batch about one donation."""

    gift: Gift = _NOTHING_KNOWN
    refunds: ById = field(default_factory=dict)

    def applied(self, before: Gift, known: ById) -> Gift:
        """The gift after this batch; ``known`` are all its refunds, if the batch has one of it."""
        after = before.joined(self.gift)
        return after._replace(refunded=refunds.total(known.values())) if self.refunds else after


def gifts(events: Sequence[Event]) -> dict[UUID, News]:
    """The news of these events, per donation. Pure."""
    found: dict[UUID, News] = {}
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
        news = found.setdefault(event.payload.donation_id, News())
        news.gift = news.gift.joined(said)
    for donation_id, by_id in refunds.said(events).items():
        found[donation_id].refunds = by_id
    return found


def _completion(event: Event, paid: DonationCompleted) -> Completion:
    assert event.position is not None
    return Completion(
        event.position, event.timestamp, paid.campaign_id, paid.donor_id, paid.amount, paid.currency, event.id
    )


_GIFTS = Columns(
    "donation_id", donation_id="uuid", position="bigint", occurred_at="timestamptz", campaign_id="uuid",
    donor_id="uuid", amount="numeric", currency="code", event_id="uuid", named="boolean", anonymous="boolean",
    returned="boolean", refunded="numeric",
)  # fmt: skip

# Waits for another transaction that inserts the same donation; after this, all of them are there.
_INSERT = f"""
    INSERT INTO feed_gifts ({_GIFTS}) SELECT * FROM {_GIFTS.given} ORDER BY donation_id
    ON CONFLICT (donation_id) DO NOTHING RETURNING donation_id
"""  # noqa: S608 - put together from constants
_LOCK = f"""
    SELECT {_GIFTS} FROM feed_gifts WHERE donation_id = ANY (%(ids)s::uuid[]) ORDER BY donation_id FOR UPDATE
"""  # noqa: S608
_UPDATE = f"""
    UPDATE feed_gifts AS gift SET {_GIFTS.assigned} FROM {_GIFTS.given} WHERE gift.donation_id = given.donation_id
"""  # noqa: S608


def apply(db: Connection, news: Mapping[UUID, News]) -> list[tuple[Gift, Gift]]:
    """Join news to the stored donations; returns each changed one before and after.

    The donations stay locked until the transaction ends.
    """
    if not news:
        return []
    new = {donation_id: said.applied(_NOTHING_KNOWN, said.refunds) for donation_id, said in news.items()}
    inserted = set(db.exec_driver_sql(_INSERT, _bound(new)).scalars())
    known = _lock(db, [donation_id for donation_id in news if donation_id not in inserted])
    _refunds.add(db, {donation_id: said.refunds for donation_id, said in news.items() if said.refunds})
    stored = _refunds.read(db, [donation_id for donation_id in known if news[donation_id].refunds])
    after = {one: news[one].applied(before, stored.get(one, {})) for one, before in known.items()}
    if changed := {one: gift for one, gift in after.items() if gift != known[one]}:
        db.exec_driver_sql(_UPDATE, _bound(changed))
    return [(_NOTHING_KNOWN, new[one]) for one in inserted] + [(known[one], gift) for one, gift in changed.items()]


def _lock(db: Connection, ids: Sequence[UUID]) -> dict[UUID, Gift]:
    if not ids:
        return {}
    rows = db.exec_driver_sql(_LOCK, {"ids": array(ids)}).all()
    return {row[0]: Gift(Completion(*row[1:8]) if row[1] is not None else None, *row[8:]) for row in rows}


def _bound(said: Mapping[UUID, Gift]) -> dict[str, Any]:
    nothing = (None,) * len(Completion._fields)
    return _GIFTS.bound((key, *(gift.completion or nothing), *gift[1:]) for key, gift in said.items())
