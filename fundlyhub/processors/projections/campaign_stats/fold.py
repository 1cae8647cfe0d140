"""What events say about donations, folded purely: any order and any duplication give the same.

What is known of a donation only grows, by joins that are commutative, associative and idempotent: the
completion of the lowest position, the set of those that lost against it, and per refund id the first event
and the highest cumulative amount. The numbers of a donation follow from that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Context, Decimal, Inexact
from typing import NamedTuple
from uuid import UUID

from fundlyhub.events import Event
from fundlyhub.events.catalogue.donation import DonationCompleted, DonationRefunded

EXACT = Context(prec=40_000, traps=[Inexact])
"""For sums of money: a refund may come with as many decimals as PostgreSQL can hold, 16,383."""

NOTHING = Decimal(0)


class Gift(NamedTuple):
    """A completed donation, as the event at ``position`` tells it; ``amount`` in major units."""

    position: int
    campaign_id: UUID
    currency: str
    donor_id: UUID | None
    amount: Decimal
    donated_at: datetime


class Refund(NamedTuple):
    """All events of one refund id: the first one's amount and shape, and the highest cumulative amount."""

    position: int
    amount: Decimal
    cumulative: bool
    highest: Decimal | None


class Fact(NamedTuple):
    """A donation as it counts; ``refunded`` is what the refunds add up to, also beyond the gift."""

    gift: Gift | None
    refunded: Decimal = NOTHING
    refund_count: int = 0

    @property
    def returned(self) -> Decimal:
        """What the refunds take from the gift: no more than the gift."""
        return min(self.gift.amount, self.refunded) if self.gift else NOTHING

    @property
    def exceeded_at(self) -> int | None:
        """Position of the completion whose amount the refunds exceed."""
        return self.gift.position if self.gift and self.refunded > self.gift.amount else None


@dataclass(slots=True)
class News:
    """What a batch says about one donation."""

    gift: Gift | None = None
    repeats: set[int] = field(default_factory=set)
    refunds: dict[str, Refund] = field(default_factory=dict)

    @property
    def is_plain(self) -> bool:
        """Whether it tells of one completion, and of nothing else."""
        return not self.refunds and not self.repeats

    def add_gift(self, gift: Gift) -> None:
        """Take in a completion; of two at different positions the later is a repeat."""
        if self.gift and self.gift.position != gift.position:
            self.repeats.add(max(self.gift.position, gift.position))
        self.gift = first_gift(self.gift, gift)

    def add_refund(self, refund_id: str, refund: Refund) -> None:
        """Take in a refund."""
        self.refunds[refund_id] = join_refunds(self.refunds.get(refund_id), refund)

    def joined(self, stored: Mapping[str, Refund]) -> dict[str, Refund]:
        """The refunds of this batch, each together with what is stored of it."""
        return {name: join_refunds(stored.get(name), refund) for name, refund in self.refunds.items()}

    def applied(self, before: Fact, stored: Mapping[str, Refund]) -> Fact:
        """The donation after this batch; ``stored`` may be empty if the batch has no refund of it."""
        gift = first_gift(before.gift, self.gift)
        if not self.refunds:
            return Fact(gift, before.refunded, before.refund_count)
        refunds = {**stored, **self.joined(stored)}
        return Fact(gift, refunded(refunds), len(refunds))

    def lost(self, before: Fact) -> set[int]:
        """Positions of the completions that lost against an earlier one."""
        if not self.repeats and (before.gift is None or self.gift is None):
            return set()
        known = self.repeats | {gift.position for gift in (before.gift, self.gift) if gift}
        return known - {min(known)} if known else known


def fold(events: Iterable[Event]) -> dict[UUID, News]:
    """What these events say, per donation."""
    found: dict[UUID, News] = {}
    for event in events:
        payload = event.payload
        if isinstance(payload, DonationCompleted):
            found.setdefault(payload.donation_id, News()).add_gift(_gift(event, payload))
        elif isinstance(payload, DonationRefunded):
            refund = _refund(event, payload)
            found.setdefault(payload.donation_id, News()).add_refund(payload.refund_transaction_id, refund)
    return found


def first_gift(one: Gift | None, other: Gift | None) -> Gift | None:
    """The completion of the lower position."""
    if one is None or other is None:
        return one or other
    return one if one.position <= other.position else other


def join_refunds(one: Refund | None, other: Refund) -> Refund:
    """Two findings about one refund id as one."""
    if one is None:
        return other
    first = one if one.position <= other.position else other
    highest = max((r.highest for r in (one, other) if r.highest is not None), default=None)
    return first._replace(highest=highest)


def refunded(refunds: Mapping[str, Refund]) -> Decimal:
    """What refunds add up to: the highest of the cumulative ones, and all others. Wants the context EXACT."""
    totals = [refund.highest for refund in refunds.values() if refund.cumulative and refund.highest is not None]
    others = (refund.amount for refund in refunds.values() if not refund.cumulative)
    return sum(others, max(totals, default=NOTHING))


def _gift(event: Event, paid: DonationCompleted) -> Gift:
    return Gift(_position(event), paid.campaign_id, paid.currency, paid.donor_id, paid.amount, event.timestamp)


def _refund(event: Event, given_back: DonationRefunded) -> Refund:
    # The payment webhook reports what was given back of a charge so far, and signs as the system.
    amount, cumulative = given_back.refund_amount, given_back.initiated_by == "system"
    return Refund(_position(event), amount, cumulative, amount if cumulative else None)


def _position(event: Event) -> int:
    if event.position is None:
        raise ValueError("an event without a position: it was never published")
    return event.position
