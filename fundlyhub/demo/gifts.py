"""Donations of every kind: completed, refunded, failed, or paid out. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from uuid import UUID

from fundlyhub import (
    DonationCompleted,
    DonationFailed,
    DonationInitiated,
    DonationRefunded,
    PayoutCompleted,
    PayoutRequested,
)
from fundlyhub.demo import business
from fundlyhub.demo.scenario import CURRENCIES, START, Cast, Transaction


def donate(cast: Cast, transaction: Transaction) -> Iterator[Transaction]:
    """Add a donation to a transaction; yields its refunds, which come later, or before the donation is known.

    Order is not guaranteed. A donation that rolls back leaves refunds without a donation, which do not count.
    The completion or the beginning may say whether it is anonymous, or neither.
    """
    campaign, _, currency = cast.popular_campaign()
    if cast.rng.random() < 0.05:
        currency = cast.rng.choice(list(CURRENCIES))
    donation, amount = cast.uuid(), cast.amount(currency)
    donor = None if cast.rng.random() < 0.2 else cast.rng.choice(cast.users)
    guest_email = f"guest-{donation.hex}@example.org" if donor is None and cast.rng.random() < 0.5 else None
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
        is_anonymous=None if begun else anonymous, donor_email=guest_email,
    )  # fmt: skip
    event = cast.event(completion)
    row = {
        "run": cast.run, "id": donation, "campaign_id": campaign, "donor_id": donor, "amount": amount,
        "currency": currency, "is_anonymous": bool(anonymous) if begun else anonymous,
        "completed_at": event.timestamp, "guest_email": guest_email,
    }  # fmt: skip
    transaction.add(business.DONATION, row, event)
    if cast.rng.random() < 0.06:
        yield from _refunds(cast, donation, campaign, amount, CURRENCIES[currency])


def _refunds(cast: Cast, donation: UUID, campaign: UUID, amount: Decimal, digits: int) -> Iterator[Transaction]:
    """Up to three refunds of no more than the donation, reported by the API, by the webhook, or by both."""
    tellers = cast.rng.choice(((False,), (True,), (False, True)))
    part = round(amount * Decimal(cast.rng.choice(("0.25", "0.3", "0.5", "1"))), digits)
    for n in range(1, cast.rng.choice((1, 1, 2, 3)) + 1):
        if 0 < part * n <= amount:
            for cumulative in tellers:
                yield _refund(cast, donation, campaign if cumulative else None, amount, part, n)


def _refund(
    cast: Cast, donation: UUID, webhook: UUID | None, amount: Decimal, part: Decimal, n: int
) -> Transaction:  # fmt: skip
    """The n-th refund of a part: its own amount, or the sum so far as the payment webhook reports it.

    The webhook names the campaign, and the initiator where it knows one.
    """
    name = f"{'re' if webhook else 'rf'}_{donation.hex}_{n}"
    said = part * n if webhook else part
    payload = DonationRefunded(
        donation_id=donation, original_amount=amount, refund_amount=said, reason="asked for",
        refund_transaction_id=name, campaign_id=webhook,
        initiated_by="system" if webhook and cast.rng.random() < 0.5 else cast.rng.choice(cast.users),
    )  # fmt: skip
    row = {
        "run": cast.run, "donation_id": donation, "transaction_id": name, "amount": said,
        "cumulative": webhook is not None,
    }  # fmt: skip
    transaction = Transaction()
    transaction.add(business.REFUND, row, cast.event(payload))
    return transaction


def fail(cast: Cast) -> Transaction:
    """A payment that failed."""
    campaign, _, currency = cast.rng.choice(cast.campaigns)
    payload = DonationFailed(
        donation_id=f"pi_{cast.uuid().hex}", campaign_id=campaign, amount=cast.amount(currency), reason="declined"
    )
    return Transaction(events=[cast.event(payload)])


def pay_out(cast: Cast) -> Iterator[Transaction]:
    """A creator requests a payout; its completion is published after the request, or before it."""
    campaign, owner, currency = cast.rng.choice(cast.campaigns)
    request = cast.uuid()
    asked, transaction = cast.amount(currency), Transaction()
    payload = PayoutRequested(
        request_id=request, user_id=owner, fundraiser_id=campaign, bank_account_id=cast.uuid(), amount_str=str(asked),
        currency=currency, is_first_payout=True, risk_score=5,
    )  # fmt: skip
    transaction.add(business.PAYOUT, {"run": cast.run, "id": request, "user_id": owner}, cast.event(payload))
    yield transaction
    arrived = PayoutCompleted(
        request_id=request, stripe_transfer_id=f"tr_{request.hex}", actual_arrival_date=START.date(),
        completed_at=START,
    )  # fmt: skip
    yield Transaction(events=[cast.event(arrived)])
