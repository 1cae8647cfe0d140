"""Events of donations: initiated, completed, failed, refunded."""

from __future__ import annotations

from typing import ClassVar

from fundlyhub.events.payload import (
    UUID,
    Amount,
    Currency,
    Email,
    Flag,
    Line,
    MoneyPayload,
    Payload,
    Reference,
    SignedAmount,
    Text,
    UuidOrSystem,
)


class DonationInitiated(MoneyPayload, type="donation.initiated", aggregate=("donation", "donation_id")):
    """A donation has been initiated; nothing is paid yet."""

    donation_id: UUID
    campaign_id: UUID
    donor_id: UUID | None = None
    amount: Amount
    currency: Currency = "USD"
    payment_method: Line
    is_anonymous: Flag = False
    message: Text | None = None


class _Completion(MoneyPayload):
    money_fields: ClassVar[tuple[str, ...]] = ("amount", "processing_fee", "net_amount")

    donation_id: UUID
    campaign_id: UUID
    donor_id: UUID | None = None  # guests have none
    amount: Amount
    currency: Currency
    processing_fee: SignedAmount | None = None
    net_amount: Amount
    payment_provider: Line
    transaction_id: Line
    # The payment webhook adds these. An anonymous donor's are for that donor's receipt only.
    is_anonymous: Flag | None = None
    donor_email: Email | None = None
    donor_name: Line | None = None


class DonationCompletedV1(
    _Completion, type="donation.completed", version="1.0.0", aggregate=("donation", "donation_id")
):
    """A donation has been paid; without a currency it is in US dollars."""


class DonationCompleted(_Completion, type="donation.completed", version="2.0.0", aggregate=("donation", "donation_id")):
    """A donation has been paid."""


class DonationFailed(Payload, type="donation.failed", aggregate=("donation", "donation_id")):
    """A payment has failed; its id may be the payment provider's, and its amount includes the tip."""

    donation_id: Reference
    campaign_id: UUID
    donor_id: UUID | None = None
    amount: Amount
    reason: Text
    error_code: Line | None = None
    retryable: Flag = False


class DonationRefunded(Payload, type="donation.refunded", aggregate=("donation", "donation_id")):
    """A donation has been refunded, in part or in whole; campaign and currency are those of the donation."""

    donation_id: UUID
    original_amount: Amount
    refund_amount: Amount
    reason: Text
    refund_transaction_id: Line
    initiated_by: UuidOrSystem
    campaign_id: UUID | None = None  # only the payment webhook adds it

    @property
    def is_cumulative(self) -> bool:
        """Whether the amount is the total refunded so far, as the payment webhook sends it.

        The webhook names the initiator if it knows one, and otherwise "system".
        """
        return self.campaign_id is not None or self.initiated_by == "system"
