"""Deltas: the differences that changed donations make to the statistics. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from fundlyhub.processors.projections.campaign_stats.fold import Fact, Gift
from fundlyhub.processors.shared.refunds import NOTHING

Key = tuple[UUID, str]
"""A row of the statistics: campaign and currency."""


@dataclass(slots=True)
class Delta:
    """The difference to one row of the statistics.

    ``largest``, ``first`` and ``last`` are those of the donations involved. For one that is in the row
    already they change nothing, and for one that leaves it the row is measured again.
    """

    largest: Decimal
    first: datetime
    last: datetime
    raised: Decimal = NOTHING
    donations: int = 0
    donors: int = 0
    refunds: int = 0
    refunded: Decimal = NOTHING
    by_donor: dict[UUID, int] = field(default_factory=dict)
    """Donations more or less of each donor."""

    def add(self, fact: Fact, gift: Gift, sign: int) -> None:
        """Count a donation in (``sign`` 1) or out (-1)."""
        self.raised += gift.amount if sign > 0 else -gift.amount  # to multiply costs twice as much
        self.donations += sign
        if fact.refund_count:
            self.raised -= sign * fact.returned
            self.refunds += sign * fact.refund_count
            self.refunded += sign * fact.returned
        if gift.amount > self.largest:
            self.largest = gift.amount
        if gift.donated_at < self.first:
            self.first = gift.donated_at
        elif gift.donated_at > self.last:
            self.last = gift.donated_at
        if gift.donor_id is not None:
            self.by_donor[gift.donor_id] = self.by_donor.get(gift.donor_id, 0) + sign


@dataclass(slots=True)
class Deltas:
    """All differences of a batch; ``left`` holds the rows that a donation has left."""

    stats: dict[Key, Delta] = field(default_factory=dict)
    left: set[Key] = field(default_factory=set)

    def count(self, fact: Fact, sign: int) -> None:
        """Count a donation in (``sign`` 1) or out (-1); one that is not completed counts nowhere."""
        gift = fact.gift
        if gift is None:
            return
        key = (gift.campaign_id, gift.currency)
        delta = self.stats.get(key)
        if delta is None:
            delta = self.stats[key] = Delta(gift.amount, gift.donated_at, gift.donated_at)
        delta.add(fact, gift, sign)


def differences(new: Iterable[Fact], changed: Iterable[tuple[Fact, Fact]]) -> Deltas:
    """The differences that new donations make, and those between changed donations before and after.

    Wants the context EXACT.
    """
    deltas = Deltas()
    for fact in new:
        deltas.count(fact, 1)
    for before, after in changed:
        if before == after:
            continue
        deltas.count(before, -1)
        deltas.count(after, 1)
        if before.gift and before.gift != after.gift:
            deltas.left.add((before.gift.campaign_id, before.gift.currency))
    return deltas
