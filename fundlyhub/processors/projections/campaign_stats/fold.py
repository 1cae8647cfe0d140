"""Folding events into donations: any order and any duplication give the same. Pure.

The knowledge of a donation only grows, by joins that are commutative, associative and idempotent: the completion of the
lowest position, the set of later ones, and its refunds. The numbers of a donation follow from that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from fundlyhub.events import Event
from fundlyhub.events.catalogue.donation import DonationCompleted
from fundlyhub.processors.shared import refunds
from fundlyhub.processors.shared.refunds import NOTHING, ById


class Gift(NamedTuple):
    """A completed donation, from the event at ``position``; ``amount`` in major units."""

    position: int
    campaign_id: UUID
    currency: str
    donor_id: UUID | None
    amount: Decimal
    donated_at: datetime
    event_id: UUID | None = None
    """A row of an older release names none."""

    def is_same(self, other: Gift) -> bool:
        """Whether both are of one event, which has another position since the log has lost its tail."""
        return self.event_id is not None and self.event_id == other.event_id


class Fact(NamedTuple):
    """A donation as it counts; ``refunded`` is the sum of the refunds, even if it exceeds the donation."""

    gift: Gift | None
    refunded: Decimal = NOTHING
    refund_count: int = 0

    @property
    def returned(self) -> Decimal:
        """The amount that refunds take from the donation: no more than the donation."""
        return min(self.gift.amount, self.refunded) if self.gift else NOTHING

    @property
    def exceeded_at(self) -> int | None:
        """Position of the completion whose amount the refunds exceed."""
        return self.gift.position if self.gift and self.refunded > self.gift.amount else None


@dataclass(slots=True)
class News:
    """The news of a batch about one donation."""

    gift: Gift | None = None
    repeats: set[int] = field(default_factory=set)
    refunds: ById = field(default_factory=dict)

    @property
    def is_plain(self) -> bool:
        """Whether it is one completion and nothing else."""
        return not self.refunds and not self.repeats

    def add_gift(self, gift: Gift) -> None:
        """Take in a completion; of two at different positions the later is a repeat."""
        if self.gift and self.gift.position != gift.position:
            self.repeats.add(max(self.gift.position, gift.position))
        self.gift = first_gift(self.gift, gift)

    def applied(self, before: Fact, known: ById) -> Fact:
        """The donation after this batch; ``known`` are all its refunds, if the batch has one of it."""
        gift = first_gift(before.gift, self.gift)
        if not self.refunds:
            return before._replace(gift=gift)
        return Fact(gift, refunds.total(known.values()), len(known))

    def lost(self, before: Fact) -> set[int]:
        """Positions of the completions that lost against an earlier one."""
        if not self.repeats and (before.gift is None or self.gift is None):
            return set()
        first = first_gift(before.gift, self.gift)
        if before.gift and first and first.is_same(before.gift):  # where the log has it now
            before = before._replace(gift=first)
        known = self.repeats | {gift.position for gift in (before.gift, self.gift) if gift}
        return known - {min(known)} if known else known


def fold(events: Sequence[Event]) -> dict[UUID, News]:
    """The news of these events, per donation."""
    found: dict[UUID, News] = {}
    for event in events:
        payload = event.payload
        if isinstance(payload, DonationCompleted):
            found.setdefault(payload.donation_id, News()).add_gift(_gift(event, payload))
    for donation_id, by_id in refunds.said(events).items():
        found.setdefault(donation_id, News()).refunds = by_id
    return found


def first_gift(one: Gift | None, other: Gift | None) -> Gift | None:
    """The completion of the lower position; of one event, the other: where the log has it now."""
    if one is None or other is None:
        return one or other
    if one.is_same(other):
        return other
    return one if one.position <= other.position else other


def _gift(event: Event, paid: DonationCompleted) -> Gift:
    return Gift(
        _position(event), paid.campaign_id, paid.currency, paid.donor_id, paid.amount, event.timestamp, event.id
    )


def _position(event: Event) -> int:
    if event.position is None:
        raise ValueError("an event without a position: it was never published")
    return event.position
