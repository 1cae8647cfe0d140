"""What changed donations mean for the statistics: differences, computed purely."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from fundlyhub.processors.projections.campaign_stats.fold import NOTHING, Fact, Gift

Key = tuple[UUID, str]
"""A row of the statistics: campaign and currency."""
DonorKey = tuple[UUID, str, UUID]
"""A donor of a campaign in a currency."""


@dataclass(slots=True)
class Delta:
    """What one row of the statistics is changed by.

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

    def add(self, fact: Fact, gift: Gift, sign: int) -> None:
        """Count a donation in (``sign`` 1) or out (-1)."""
        returned = fact.returned
        self.raised += sign * (gift.amount - returned)
        self.donations += sign
        self.refunds += sign * fact.refund_count
        self.refunded += sign * returned
        self.largest = max(self.largest, gift.amount)
        self.first = min(self.first, gift.donated_at)
        self.last = max(self.last, gift.donated_at)


@dataclass(slots=True)
class Deltas:
    """All differences of a batch; ``left`` holds the rows that a donation has left."""

    stats: dict[Key, Delta] = field(default_factory=dict)
    donors: Counter[DonorKey] = field(default_factory=Counter)
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
        if gift.donor_id is not None:
            self.donors[(*key, gift.donor_id)] += sign


def differences(changes: Iterable[tuple[Fact, Fact]]) -> Deltas:
    """The differences between what donations were and what they are. Wants the context EXACT."""
    deltas = Deltas()
    for before, after in changes:
        if before == after:
            continue
        deltas.count(before, -1)
        deltas.count(after, 1)
        if before.gift and before.gift != after.gift:
            deltas.left.add((before.gift.campaign_id, before.gift.currency))
    return deltas
