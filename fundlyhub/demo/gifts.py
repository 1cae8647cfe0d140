"""Gifts and what becomes of them: completed, refunded in every shape, or failed. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from uuid import UUID

from fundlyhub import DonationCompleted, DonationFailed, DonationInitiated, DonationRefunded
from fundlyhub.demo import business
from fundlyhub.demo.cast import CURRENCIES, Cast, Transaction


def donate(cast: Cast, transaction: Transaction) -> Iterator[Transaction]:
    """Add a gift to a transaction; yield its refunds, which come later, or before their donation is known.

    Order is nobody's promise. A donation that rolls back leaves refunds without a gift, which count for nobody.
    Whether a gift is anonymous may be said by its completion, by its beginning, or by nobody.
    """
    campaign, _, currency = cast.popular_campaign()
    if cast.rng.random() < 0.05:
        currency = cast.rng.choice(list(CURRENCIES))
    donation, amount = cast.uuid(), cast.amount(currency)
    donor = None if cast.rng.random() < 0.2 else cast.rng.choice(cast.users)
    anonymous, begun = cast.rng.choice((True, False, False, None)), cast.rng.random() < 0.2
    if begun:
        beginning = DonationInitiated(
            donation_id=donation, campaign_id=campaign, donor_id=donor, amount=amount, currency=currency,
            payment_method="card", is_anonymous=bool(anonymous),
        )  # fmt: skip
        transaction.events.append(cast.event(beginning))
    completion = DonationCompleted(
        donation_id=donation, campaign_id=campaign, donor_id=donor, amount=amount, currency=currency,
        net_amount=amount, payment_provider="stripe", transaction_id=f"pi_{donation.hex}",
        is_anonymous=None if begun else anonymous,
    )  # fmt: skip
    event = cast.event(completion)
    row = {
        "run": cast.run, "id": donation, "campaign_id": campaign, "donor_id": donor, "amount": amount,
        "currency": currency, "is_anonymous": bool(anonymous) if begun else anonymous,
        "completed_at": event.timestamp,
    }  # fmt: skip
    transaction.add(business.DONATION, row, event)
    if cast.rng.random() < 0.06:
        yield from _refunds(cast, donation, amount, CURRENCIES[currency])


def _refunds(cast: Cast, donation: UUID, amount: Decimal, digits: int) -> Iterator[Transaction]:
    cumulative = cast.rng.random() < 0.5
    part = round(amount * Decimal(cast.rng.choice(("0.25", "0.5", "1"))), digits)
    if part <= 0:
        return
    for n in range(1, cast.rng.choice((1, 1, 2, 3)) + 1):
        name = f"re_{donation.hex}_{n}"
        said = part * n if cumulative else part
        payload = DonationRefunded(
            donation_id=donation, original_amount=amount, refund_amount=said, reason="asked for",
            refund_transaction_id=name, initiated_by="system" if cumulative else cast.rng.choice(cast.users),
        )  # fmt: skip
        row = {
            "run": cast.run, "donation_id": donation, "transaction_id": name, "amount": said,
            "cumulative": cumulative,
        }  # fmt: skip
        transaction = Transaction()
        transaction.add(business.REFUND, row, cast.event(payload))
        yield transaction


def fail(cast: Cast) -> Transaction:
    """A payment that failed."""
    campaign, _, currency = cast.rng.choice(cast.campaigns)
    payload = DonationFailed(
        donation_id=f"pi_{cast.uuid().hex}", campaign_id=campaign, amount=cast.amount(currency), reason="declined"
    )
    return Transaction(events=[cast.event(payload)])
