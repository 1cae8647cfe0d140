"""What is no longer so is not told, whichever of both events comes first."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from fundlyhub import Payload, UserFollowedUser, UserUnfollowedUser
from fundlyhub.events.catalogue.admin import (
    AdminCampaignApproved,
    AdminCampaignClosed,
    AdminCampaignPaused,
    AdminUserSuspended,
    AdminUserUnsuspended,
)
from fundlyhub.events.catalogue.campaign import CampaignDeleted, CampaignStatusChanged
from fundlyhub.events.catalogue.donation import DonationFailed
from fundlyhub.events.catalogue.payout import (
    PayoutApproved,
    PayoutBankAccountVerificationFailed,
    PayoutBankAccountVerified,
    PayoutCancelled,
    PayoutCompleted,
    PayoutDenied,
    PayoutFailed,
    PayoutRequested,
)
from tests.notifications.post import JOHN, ME, TELLING, WELLS, WRITES, Post
from tests.support.make import completed

ADMIN, GIFT, PAYOUT = (UUID(int=n) for n in (91, 92, 93))
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

requested = PayoutRequested(
    request_id=PAYOUT, user_id=ME, fundraiser_id=WELLS, bank_account_id=ADMIN, amount_str="90.50", currency="EUR",
    is_first_payout=True, risk_score=1,
)  # fmt: skip
approved = PayoutApproved(request_id=PAYOUT, approved_by=ADMIN, approved_at=NOW)
denied = PayoutDenied(request_id=PAYOUT, denied_by=ADMIN, denial_reason="papers", denied_at=NOW)
cancelled = PayoutCancelled(request_id=PAYOUT, cancelled_by=ME, cancellation_reason="no", cancelled_at=NOW)
arrived = PayoutCompleted(
    request_id=PAYOUT, stripe_transfer_id="tr", actual_arrival_date=NOW.date(), completed_at=NOW
)  # fmt: skip
bounced = PayoutFailed(request_id=PAYOUT, failure_reason="closed", failed_at=NOW, is_retryable=True)
account = {"bank_account_id": ADMIN, "user_id": ME}
unverified = PayoutBankAccountVerificationFailed(**account, failure_reason="name", attempt_count=1, can_retry=True)
verified = PayoutBankAccountVerified(**account, verification_method="micro", verified_at=NOW)
suspended = AdminUserSuspended(user_id=ME, suspended_by=ADMIN, reason="spam", duration=3, suspended_until=NOW)
follow = UserFollowedUser(follower_id=JOHN, followed_user_id=ME)
opened = AdminCampaignApproved(campaign_id=WELLS, approved_by=ADMIN)
paused = AdminCampaignPaused(campaign_id=WELLS, paused_by=ADMIN)
closed = AdminCampaignClosed(campaign_id=WELLS, closed_by=ADMIN)
resumed = CampaignStatusChanged(campaign_id=WELLS, previous_status="paused", new_status="active")


def failed(reference: str, **fields: Any) -> DonationFailed:
    return DonationFailed(
        **{"donation_id": reference, "campaign_id": WELLS, "donor_id": ME, "amount": Decimal(5), "reason": "x"} | fields
    )


def reasons(post: Post, template: str) -> set[str]:
    return {one.reason or one.state for one in post.entries(template)}


@pytest.mark.parametrize(
    "reference", [str(GIFT), str(GIFT).upper(), "pi_wells"], ids=["id", "in capitals", "provider's"]
)
@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_nobody_is_told_that_no_money_was_taken_when_it_was(post: Post, reference: str, late: bool) -> None:
    paid = completed(WELLS, donation_id=GIFT, donor_id=ME, transaction_id="pi_wells")
    post.tell(*((paid, failed(reference)) if late else (failed(reference), paid)))
    assert reasons(post, "donation_failed") == {"completed already"}
    assert "sent" in reasons(post, "donation_receipt")


def test_a_payment_that_failed_is_told_as_long_as_nothing_else_is_known(post: Post) -> None:
    post.tell(failed("pi_wells"))
    post.tell(completed(WELLS, donation_id=GIFT, donor_id=ME, transaction_id="pi_wells"))
    assert reasons(post, "donation_failed") == {"sent"}


def test_another_payment_that_went_through_says_nothing_of_this_one(post: Post) -> None:
    post.tell(completed(WELLS, donor_id=ME, transaction_id="pi_other"), failed("pi_wells"))
    post.tell(completed(UUID(int=12), donor_id=ME, transaction_id="pi_wells"), failed("pi_wells", donor_id=JOHN))
    assert "completed already" not in reasons(post, "donation_failed")


@pytest.mark.parametrize(
    ("message", "first", "second"),
    [
        ("payout_requested", requested, approved),
        ("payout_requested", requested, denied),
        ("payout_approved", approved, arrived),
        ("payout_approved", approved, cancelled),
        ("payout_completed", arrived, bounced),
        ("payout_failed", bounced, arrived),
        ("campaign_approved", opened, paused),
        ("campaign_paused", paused, closed),
        (
            "campaign_paused",
            paused,
            CampaignStatusChanged(campaign_id=WELLS, previous_status="paused", new_status="active"),
        ),
        ("campaign_closed", closed, CampaignDeleted(campaign_id=WELLS, user_id=ME)),
        ("bank_account_failed", unverified, verified),
        ("account_suspended", suspended, AdminUserUnsuspended(user_id=ME, unsuspended_by=ADMIN)),
        ("new_follower", follow, UserUnfollowedUser(follower_id=JOHN, unfollowed_user_id=ME)),
    ],
    ids=lambda one: one if isinstance(one, str) else one.event_type,
)
@pytest.mark.parametrize("told_first", [False, True], ids=["in one backlog", "in time"])
def test_a_state_is_told_in_time_and_not_once_it_is_overtaken(
    post: Post, message: str, first: Payload, second: Payload, told_first: bool
) -> None:
    post.known(requested)
    post.sql("INSERT INTO app.preferences VALUES (%s, 'social', 'email', true)", ME)
    if told_first:
        post.tell(first)
        post.tell(second)
    else:
        post.tell(first, second)
    assert reasons(post, message) == {"sent" if told_first else "overtaken"}


def test_what_comes_late_is_overtaken_too(post: Post) -> None:
    """It happened before, and stands in the log behind what followed."""
    positions = post.publish(requested, approved, paused)
    positions += post.tell(arrived, closed)
    for processor in (*WRITES, *TELLING):
        post.run(processor, positions)
    late = ("payout_requested", "payout_approved", "campaign_paused")
    assert {one: reasons(post, one) for one in late} == {one: {"overtaken"} for one in late}
    assert reasons(post, "payout_completed") == {"sent"}


def test_an_approval_with_a_later_time_than_the_arrival_is_overtaken(post: Post) -> None:
    post.tell(requested)
    post.tell(arrived)
    post.tell(approved)
    assert reasons(post, "payout_approved") == {"overtaken"}
