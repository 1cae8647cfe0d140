"""Template values: texts, numbers, times and money, with samples for previews and tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in major units of its currency."""

    amount: Decimal
    currency: str


Fact = str | int | bool | Money | datetime | date | None | tuple[Mapping[str, "Fact"], ...]
"""A tuple is a list, each part of which has facts of its own."""
Facts = Mapping[str, Fact]

_WELLS = "Clean water for Kisumu"
_SAMPLE: dict[str, Fact] = {
    "campaign": _WELLS,
    "campaign_url": "https://fundlyhub.example/campaigns/clean-water",
    "amount": Money(Decimal("1250.50"), "EUR"),
    "total": Money(Decimal("1500.50"), "EUR"),
    "given": Money(Decimal("2000.00"), "EUR"),
    "goal": Money(Decimal(50_000), "USD"),
    "raised": Money(Decimal("50120.75"), "USD"),
    "donors": 321,
    "reference": "5f0c2a9e-8f0f-4d3c-9a53-0c8a1f6f7f10",
    "donated_at": datetime(2026, 3, 14, 17, 5, tzinfo=UTC),
    "refunded_at": datetime(2026, 3, 20, 8, 30, tzinfo=UTC),
    "anonymous": True,
    "donor": "Amara Castillo",
    "follower": "Liang Hofmann",
    "reason": "The budget does not say what the second half is for.",
    "retryable": True,
    "arrived_on": date(2026, 3, 21),
    "until": datetime(2026, 4, 1, tzinfo=UTC),
    "at": datetime(2026, 3, 22, 22, 15, tzinfo=UTC),
    "device": "Firefox, Linux",
    "address": "192.0.2.17",
    "title": "The first well gives water",
    "excerpt": "On Monday the drill reached water at 48 metres. The pump comes next week.",
    "count": 25,
    "parts": (
        {"campaign": _WELLS, "number": 21, "amount": Money(Decimal("1250.50"), "EUR")},
        {"campaign": _WELLS, "number": 3, "amount": Money(Decimal(60), "USD")},
    ),
    "others": 1,
}


def sample(names: tuple[str, ...]) -> Facts:
    """Plausible values of these facts."""
    return {name: _SAMPLE[name] for name in names}


def add_samples(more: Facts) -> None:
    """Add samples for facts of other packages' messages. A fact that has one keeps it."""
    for name, value in more.items():
        _SAMPLE.setdefault(name, value)


def has_sample(name: str) -> bool:
    """Whether a fact has a sample."""
    return name in _SAMPLE
