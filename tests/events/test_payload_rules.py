"""The rules that hold inside payloads: money and its currency, maps of changes, limits, what errors show."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from fundlyhub.events.catalogue import (
    CampaignAccessChecked,
    CampaignCreated,
    CampaignUpdated,
    DonationCompleted,
    DonationFailed,
    DonationRefunded,
    PayoutRequested,
    ProjectUpdateCreated,
)
from fundlyhub.events.payload import Changes

A_UUID = "0b5e6a3c-1111-4222-8333-444455556666"
DONATION = {
    "donationId": A_UUID,
    "campaignId": A_UUID,
    "amount": Decimal("12.50"),
    "netAmount": 12,
    "currency": "eur",
    "paymentProvider": "stripe",
    "transactionId": "pi_1",
}
CAMPAIGN = {
    "campaignId": A_UUID,
    "userId": A_UUID,
    "title": "A well",
    "slug": "a-well",
    "story": "Water for all.",
    "goalAmount": 5000,
    "visibility": "public",
    "status": "active",
}
PAYOUT = {
    "requestId": A_UUID,
    "userId": A_UUID,
    "fundraiserId": None,
    "bankAccountId": A_UUID,
    "amountStr": "12.50",
    "currency": "EUR",
    "isFirstPayout": True,
    "riskScore": 0,
}
REFUND = {
    "donationId": A_UUID,
    "originalAmount": 20,
    "refundAmount": 5,
    "reason": "asked for",
    "refundTransactionId": "re_1",
    "initiatedBy": "system",
}


def refused_fields(cls: type[Any], payload: dict[str, Any]) -> set[str]:
    with pytest.raises(ValidationError) as caught:
        cls.model_validate(payload)
    return {str(fault["loc"][0]) for fault in caught.value.errors()}


def completed(**changed: Any) -> DonationCompleted:
    return DonationCompleted.model_validate(DONATION | changed)


def test_lower_case_currencies_are_normalised() -> None:
    assert completed().currency == "EUR"


@pytest.mark.parametrize(
    ("currency", "amount", "fits"),
    [
        ("EUR", "10.50", True),
        ("EUR", "10.505", False),
        ("EUR", "10.500", True),
        ("JPY", "10", True),
        ("JPY", "10.5", False),
        ("KWD", "1.125", True),
    ],
)
def test_an_amount_has_no_more_decimals_than_its_currency(currency: str, amount: str, fits: bool) -> None:
    values = {"currency": currency, "amount": Decimal(amount), "netAmount": Decimal(1)}
    if fits:
        assert completed(**values).amount == Decimal(amount)
    else:
        with pytest.raises(ValidationError, match="amount must have at most"):
            completed(**values)


@pytest.mark.parametrize(
    "amount", [0, -1, True, 5.0, "5", Decimal("NaN"), Decimal("Infinity"), Decimal("1e400"), 10**12 + 1]
)
def test_what_is_no_sensible_money_is_refused(amount: Any) -> None:
    with pytest.raises(ValidationError):
        completed(amount=amount)


def test_a_milestone_keeps_to_the_currency_of_its_campaign() -> None:
    milestones = [{"title": "A", "targetAmount": 5}, {"title": "B", "targetAmount": Decimal("5.005")}]
    with pytest.raises(ValidationError, match=r"milestones\[1\]\.targetAmount must have at most 2 decimals"):
        CampaignCreated.model_validate(CAMPAIGN | {"milestones": milestones})


@pytest.mark.parametrize("text", ["0", "0.00", "-5", "5.", ".5", "1e3", " 5", "5\n", "٥", "9999999999999", 5])
def test_a_payout_takes_only_plain_decimal_text_above_0(text: Any) -> None:
    assert refused_fields(PayoutRequested, PAYOUT | {"amountStr": text}) == {"amountStr"}


def test_a_payout_offers_its_amount_as_a_decimal_and_keeps_the_text() -> None:
    payload = PayoutRequested.model_validate(PAYOUT | {"fundraiserId": None})
    assert payload.amount == Decimal("12.50")
    assert payload.to_wire()["amountStr"] == "12.50"
    assert payload.to_wire()["fundraiserId"] is None
    with pytest.raises(ValidationError, match="amountStr must have at most 0 decimals in JPY"):
        PayoutRequested.model_validate(PAYOUT | {"currency": "JPY"})


@pytest.mark.parametrize("nothing", [None, "", False])
def test_access_without_a_token_is_not_allowed(nothing: Any) -> None:
    payload = CampaignAccessChecked.model_validate({"campaign_id": A_UUID, "method": "denied", "allowed": nothing})
    assert payload.allowed is False


def test_changes_hold_only_allowed_columns_and_tell_null_from_not_given() -> None:
    changes = CampaignUpdated.model_validate(
        {
            "campaignId": A_UUID,
            "userId": A_UUID,
            "changes": {"title": "New", "summary": None, "owner_user_id": A_UUID, "passcode_hash": "x"},
            "previousValues": {"ownerId": A_UUID, "reason": "Spam", "link_token": "x"},
        }
    ).to_wire()
    assert changes["changes"] == {"title": "New", "summary": None}
    assert {str(value) for value in changes["previousValues"].values()} == {A_UUID, "Spam"}


@pytest.mark.parametrize("column", ["title", "goal_amount", "status", "is_project"])
def test_a_column_that_cannot_be_emptied_refuses_null(column: str) -> None:
    payload = {"campaignId": A_UUID, "userId": A_UUID, "changes": {column: None}}
    assert refused_fields(CampaignUpdated, payload) == {"changes"}


def test_no_map_of_changes_lets_a_guarded_column_through() -> None:
    guarded = re.compile("owner_user|org_id|deleted|passcode|token|stripe|paypal|^role$|account_status|^id$")
    maps = [found for found in Changes.__subclasses__() if found.__module__.startswith("fundlyhub")]
    assert len(maps) == 5
    assert not [name for found in maps for name in found.model_fields if guarded.search(name)]


def test_a_text_and_a_list_that_are_too_long_are_refused() -> None:
    for long in ({"story": "x" * 100_001}, {"allowlistEmails": ["ann@example.org"] * 1_001}):
        assert refused_fields(CampaignCreated, CAMPAIGN | long) == set(long)


def test_an_error_never_shows_a_value() -> None:
    with pytest.raises(ValidationError) as caught:
        completed(donorEmail="not-an-address-of-ann", transactionId=["hush"])
    assert "ann" not in str(caught.value)
    assert "hush" not in str(caught.value)


def test_a_refund_is_by_a_user_or_by_the_system() -> None:
    assert DonationRefunded.model_validate(REFUND).initiated_by == "system"
    by_user = DonationRefunded.model_validate(REFUND | {"initiatedBy": A_UUID.upper()})
    assert str(by_user.initiated_by) == A_UUID


def test_a_failed_donation_may_be_known_by_the_payment_providers_reference() -> None:
    payload = {"donationId": "pi_1", "campaignId": A_UUID, "amount": 5, "reason": "declined"}
    assert DonationFailed.model_validate(payload).aggregate_id == "pi_1"


@pytest.mark.parametrize("text", ["2026-01-31", "2026-01-31T23:30:00.000Z"])
def test_the_end_of_a_campaign_is_a_day_even_when_a_moment_is_sent(text: str) -> None:
    assert str(CampaignCreated.model_validate(CAMPAIGN | {"endDate": text}).end_date) == "2026-01-31"


def test_attachments_are_checked_one_by_one() -> None:
    payload = {
        "updateId": A_UUID,
        "fundraiserId": A_UUID,
        "authorId": A_UUID,
        "title": "News",
        "body": "We dig.",
        "visibility": "public",
        "usedAI": True,
    }
    files = [{"type": "image", "url": "https://example.org/a.png"}, {"type": "image", "url": "a.png"}]
    with pytest.raises(ValidationError) as caught:
        ProjectUpdateCreated.model_validate(payload | {"attachments": files})
    assert caught.value.errors()[0]["loc"] == ("attachments", 1, "url")
