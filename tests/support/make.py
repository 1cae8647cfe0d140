"""Payloads and envelopes for tests."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from fundlyhub import CampaignCreated, DonationCompleted, DonationInitiated, DonationRefunded, SearchQuerySubmitted


def initiated() -> DonationInitiated:
    """A donation that has begun; the counting processor takes it."""
    return DonationInitiated(
        donation_id=uuid4(), campaign_id=uuid4(), amount=Decimal("5"), currency="USD", payment_method="card"
    )


def search(word: str) -> SearchQuerySubmitted:
    """A search; the counting processor does what its word says."""
    return SearchQuerySubmitted(query=word)


def completed(campaign_id: UUID | None = None, **fields: Any) -> DonationCompleted:
    """A gift of 10.00 USD by a payment of its own, unless the fields say otherwise."""
    donation_id = fields.pop("donation_id", None) or uuid4()
    return DonationCompleted(
        **{
            "donation_id": donation_id,
            "campaign_id": campaign_id or uuid4(),
            "donor_id": uuid4(),
            "amount": Decimal("10.00"),
            "currency": "USD",
            "net_amount": Decimal("9.50"),
            "payment_provider": "stripe",
            "transaction_id": f"pi_{donation_id}",
            **fields,
        }
    )


def refunded(donation_id: UUID, amount: str, **fields: Any) -> DonationRefunded:
    """A refund of this amount, by a person."""
    return DonationRefunded(
        **{
            "donation_id": donation_id,
            "original_amount": Decimal("10.00"),
            "refund_amount": Decimal(amount),
            "reason": "asked for",
            "refund_transaction_id": f"re_{uuid4().hex}",
            "initiated_by": uuid4(),
            **fields,
        }
    )


def campaign(campaign_id: UUID | None = None, **fields: Any) -> CampaignCreated:
    """A public, active campaign, unless the fields say otherwise."""
    return CampaignCreated(
        **{
            "campaign_id": campaign_id or uuid4(),
            "user_id": UUID(int=1),
            "title": "Wells for all",
            "slug": "wells",
            "story": "What it is for.",
            "goal_amount": Decimal("1000"),
            "visibility": "public",
            "status": "active",
            **fields,
        }
    )
