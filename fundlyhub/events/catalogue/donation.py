"""Events of donations: initiated, completed, failed, refunded."""

from __future__ import annotations

from typing import Annotated, ClassVar

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
from fundlyhub.events.personal import CODE, REFERENCE, Personal


class DonationInitiated(MoneyPayload, type="donation.initiated", aggregate=("donation", "donation_id")):
    """A donation has been initiated; nothing is paid yet."""

    donation_id: UUID
    campaign_id: UUID
    donor_id: UUID | None = None
    amount: Amount
    currency: Currency = "USD"
    payment_method: Annotated[Line, CODE]
    is_anonymous: Flag = False
    message: Annotated[Text | None, Personal("text", "donor_id", "donation_id")] = None


class _Completion(MoneyPayload):
    money_fields: ClassVar[tuple[str, ...]] = ("amount", "processing_fee", "net_amount")

    donation_id: UUID
    campaign_id: UUID
    donor_id: UUID | None = None  # guests have none
    amount: Amount
    currency: Currency
    processing_fee: SignedAmount | None = None
    net_amount: Amount
    payment_provider: Annotated[Line, CODE]
    transaction_id: Annotated[Line, REFERENCE]
    # The payment webhook adds these. An anonymous donor's are for that donor's receipt only.
    is_anonymous: Flag | None = None
    donor_email: Annotated[Email | None, Personal("address", "donor_id", "donation_id")] = None
    donor_name: Annotated[Line | None, Personal("name", "donor_id", "donation_id")] = None


class DonationCompletedV1(
    _Completion, type="donation.completed", version="1.0.0", aggregate=("donation", "donation_id")
):
    """A donation has been paid; without a currency it is in US dollars."""


class DonationCompleted(_Completion, type="donation.completed", version="2.0.0", aggregate=("donation", "donation_id")):
    """A donation has been paid."""


class DonationFailed(Payload, type="donation.failed", aggregate=("donation", "donation_id")):
    """A payment has failed; its id may be the payment provider's, and its amount includes the tip."""

    donation_id: Annotated[Reference, REFERENCE]
    campaign_id: UUID
    donor_id: UUID | None = None
    amount: Amount
    reason: Annotated[Text, Personal("text", "donor_id", "donation_id")]
    error_code: Annotated[Line | None, CODE] = None
    retryable: Flag = False


class DonationRefunded(Payload, type="donation.refunded", aggregate=("donation", "donation_id")):
    """A donation has been refunded, in part or in whole; campaign and currency are those of the donation."""

    donation_id: UUID
    original_amount: Amount
    refund_amount: Amount
    reason: Annotated[Text, Personal("text", "donation_id")]
    refund_transaction_id: Annotated[Line, REFERENCE]
    initiated_by: UuidOrSystem
    campaign_id: UUID | None = None  # only the payment webhook adds it

    @property
    def is_cumulative(self) -> bool:
        """Whether the amount is the total refunded so far, as the payment webhook sends it.

        The webhook names the initiator if it knows one, and otherwise "system".
        """
        return self.campaign_id is not None or self.initiated_by == "system"
