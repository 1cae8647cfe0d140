"""The donations that every row works through: always the same ones, and what their totals must be."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

CAMPAIGNS = 1_000
DONORS = 20_000
SEED = 1
START = datetime(2026, 1, 1, tzinfo=UTC)


class Gift(NamedTuple):
    """A completed donation, as an event tells it; ``amount`` in US dollars."""

    event_id: UUID
    at: datetime
    donation_id: UUID
    campaign_id: UUID
    donor_id: UUID
    amount: Decimal

    def payload(self) -> dict[str, Any]:
        """The payload of its event, as JSON."""
        return {
            "donationId": str(self.donation_id),
            "campaignId": str(self.campaign_id),
            "donorId": str(self.donor_id),
            "amount": float(self.amount),  # two decimals: exact in JSON
            "currency": "USD",
            "netAmount": float(self.amount),
            "paymentProvider": "stripe",
            "transactionId": f"pi_{self.event_id.hex[:24]}",
        }

    def line(self) -> str:
        """Its event as a line of JSON, which is what each row is given."""
        return json.dumps({"id": str(self.event_id), "at": self.at.isoformat(), "payload": self.payload()})


@dataclass(slots=True)
class Total:
    """What the donations to one campaign come to."""

    raised: Decimal = Decimal(0)
    count: int = 0
    donors: set[UUID] = field(default_factory=set)
    largest: Decimal = Decimal(0)

    def row(self) -> tuple[Any, ...]:
        """As it is compared: raised, count, unique donors, largest, average."""
        average = (self.raised / self.count).quantize(Decimal("0.0001"), ROUND_HALF_UP)
        return self.raised, self.count, len(self.donors), self.largest, average


def gifts(count: int, seed: int = SEED) -> Iterator[Gift]:
    """This many donations over 1,000 campaigns; a smaller count gives the first of a larger one's.

    The campaign of rank n gets a share in proportion to 1/n (zipf).
    """
    rng = Random(seed)
    ranks = range(1, CAMPAIGNS + 1)
    weights = list(accumulate(1 / rank for rank in ranks))
    for n in range(count):
        (campaign,) = rng.choices(ranks, cum_weights=weights)
        yield Gift(
            event_id=UUID(int=rng.getrandbits(128), version=4),
            at=START + timedelta(milliseconds=n),
            donation_id=UUID(int=rng.getrandbits(128), version=4),
            campaign_id=UUID(int=campaign, version=4),
            donor_id=UUID(int=rng.randrange(DONORS), version=4),
            amount=Decimal(rng.randrange(100, 50_000)) / 100,
        )


def totals(given: Iterable[Gift]) -> dict[UUID, Total]:
    """What the statistics of each campaign must be."""
    found: dict[UUID, Total] = {}
    for gift in given:
        total = found.setdefault(gift.campaign_id, Total())
        total.raised += gift.amount
        total.count += 1
        total.donors.add(gift.donor_id)
        total.largest = max(total.largest, gift.amount)
    return found


def write(file: Path, count: int) -> Path:
    """The first ``count`` donations as a file of lines, made once."""
    return file if file.exists() else write_gifts(file, gifts(count))


def write_gifts(file: Path, given: Iterable[Gift]) -> Path:
    """These donations as a file of lines."""
    making = file.with_suffix(".making")
    with making.open("w") as out:
        out.writelines(gift.line() + "\n" for gift in given)
    return making.rename(file)


def differences(expected: Mapping[UUID, Total], rows: Iterable[tuple[Any, ...]]) -> list[str]:
    """Where the rows of a run, campaign first, are not what the data comes to."""
    found = {row[0]: tuple(row[1:]) for row in rows}
    should = {campaign: total.row() for campaign, total in expected.items()}
    return [
        f"campaign {campaign}: expected {should.get(campaign)}, found {found.get(campaign)}"
        for campaign in sorted(should.keys() | found.keys())
        if should.get(campaign) != found.get(campaign)
    ]
