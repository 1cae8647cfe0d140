"""Events of payouts, from request to completion or failure, and of bank accounts."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated

from fundlyhub.events.payload import (
    UUID,
    AmountText,
    Count,
    Currency,
    Day,
    Flag,
    Line,
    ListOf,
    MomentIso,
    MoneyPayload,
    Payload,
    Percent,
    Text,
)
from fundlyhub.events.personal import CODE, REFERENCE, Personal


class PayoutRequested(MoneyPayload, type="payout.requested", aggregate=("payout_request", "request_id")):
    """A campaign's creator has requested a payout; the amount is net of the fee."""

    request_id: UUID
    user_id: UUID
    fundraiser_id: UUID | None  # required, but null for a payout of several campaigns
    bank_account_id: UUID
    amount_str: AmountText
    currency: Currency
    creator_notes: Annotated[Text | None, Personal("text", "user_id", "request_id")] = None
    is_first_payout: Flag
    risk_score: Percent

    @property
    def amount(self) -> Decimal:
        """The amount in major units of ``currency``."""
        return Decimal(self.amount_str)

    def _amounts(self) -> Iterator[tuple[str, Decimal | None]]:
        yield "amount_str", self.amount


class PayoutApproved(Payload, type="payout.approved", aggregate=("payout_request", "request_id")):
    """An operator has approved a payout."""

    request_id: UUID
    approved_by: UUID
    admin_notes: Annotated[Text | None, Personal("text", "request_id")] = None
    approved_at: MomentIso


class PayoutDenied(Payload, type="payout.denied", aggregate=("payout_request", "request_id")):
    """An operator has denied a payout."""

    request_id: UUID
    denied_by: UUID
    denial_reason: Annotated[Text, Personal("text", "request_id")]
    admin_notes: Annotated[Text | None, Personal("text", "request_id")] = None
    denied_at: MomentIso


class PayoutProcessing(Payload, type="payout.processing", aggregate=("payout_request", "request_id")):
    """A payout is on its way to the bank."""

    request_id: UUID
    stripe_transfer_id: Annotated[Line | None, REFERENCE] = None
    estimated_arrival_date: Day | None = None


class PayoutCompleted(Payload, type="payout.completed", aggregate=("payout_request", "request_id")):
    """A payout has arrived."""

    request_id: UUID
    stripe_transfer_id: Annotated[Line, REFERENCE]
    actual_arrival_date: Day
    completed_at: MomentIso


class PayoutFailed(Payload, type="payout.failed", aggregate=("payout_request", "request_id")):
    """A payout has failed."""

    request_id: UUID
    failure_reason: Annotated[Text, Personal("text", "request_id")]
    stripe_error: Annotated[Text | None, Personal("text", "request_id")] = None
    failed_at: MomentIso
    is_retryable: Flag


class PayoutCancelled(Payload, type="payout.cancelled", aggregate=("payout_request", "request_id")):
    """A payout has been cancelled."""

    request_id: UUID
    cancelled_by: UUID
    cancellation_reason: Annotated[Text, Personal("text", "request_id")]
    cancelled_at: MomentIso


class PayoutInfoRequired(Payload, type="payout.info_required", aggregate=("payout_request", "request_id")):
    """An operator needs more information to decide on a payout."""

    request_id: UUID
    message: Annotated[Text, Personal("text", "request_id")]
    required_info: Annotated[ListOf[Line], Personal("text", "request_id")]


class PayoutBankAccountVerified(
    Payload, type="payout.bank_account.verified", aggregate=("bank_account", "bank_account_id")
):
    """A bank account has been verified."""

    bank_account_id: UUID
    user_id: UUID
    verification_method: Annotated[Line, CODE]
    verified_at: MomentIso


class PayoutBankAccountVerificationFailed(
    Payload, type="payout.bank_account.verification_failed", aggregate=("bank_account", "bank_account_id")
):
    """The verification of a bank account has failed."""

    bank_account_id: UUID
    user_id: UUID
    failure_reason: Annotated[Text, Personal("text", "user_id")]
    attempt_count: Count
    can_retry: Flag
