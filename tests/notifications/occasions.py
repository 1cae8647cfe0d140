"""One event for each message of the table."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from fundlyhub import Payload, UserFollowedUser
from fundlyhub.events.catalogue.admin import (
    AdminCampaignApproved,
    AdminCampaignClosed,
    AdminCampaignPaused,
    AdminCampaignRejected,
    AdminUserSuspended,
)
from fundlyhub.events.catalogue.campaign import CampaignGoalReached
from fundlyhub.events.catalogue.donation import DonationFailed
from fundlyhub.events.catalogue.payout import (
    PayoutApproved,
    PayoutBankAccountVerificationFailed,
    PayoutCompleted,
    PayoutDenied,
    PayoutFailed,
    PayoutRequested,
)
from fundlyhub.events.catalogue.project import ProjectUpdateCreated
from fundlyhub.events.catalogue.user import UserLoggedIn
from tests.notifications.post import JOHN, ME, WELLS, registered
from tests.support.make import completed, refunded

ADMIN, GIFT, PAYOUT, NEWS = (UUID(int=n) for n in (91, 92, 93, 94))
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
payout = PayoutRequested(
    request_id=PAYOUT, user_id=ME, fundraiser_id=WELLS, bank_account_id=ADMIN, amount_str="90.50", currency="EUR",
    is_first_payout=True, risk_score=1,
)  # fmt: skip
update = ProjectUpdateCreated(
    update_id=NEWS, fundraiser_id=WELLS, author_id=ME, title="First well", body="Water.", visibility="public"
)


def suspended(user: UUID) -> AdminUserSuspended:
    return AdminUserSuspended(user_id=user, suspended_by=ADMIN, reason="spam", duration=3, suspended_until=NOW)


ONES: dict[str, Payload] = {
    "welcome": registered(JOHN),
    "donation_receipt": completed(WELLS, donation_id=GIFT, donor_id=ME),
    "donation_failed": DonationFailed(
        donation_id="pi_1", campaign_id=WELLS, donor_id=ME, amount=Decimal(5), reason="x"
    ),
    "refund": refunded(GIFT, "4.00"),
    "new_donation": completed(WELLS, donation_id=GIFT, donor_id=JOHN),
    "goal_reached": CampaignGoalReached(
        campaign_id=WELLS, goal_amount=Decimal(10), total_raised=Decimal(11), donor_count=2
    ),
    "campaign_approved": AdminCampaignApproved(campaign_id=WELLS, approved_by=ADMIN),
    "campaign_rejected": AdminCampaignRejected(campaign_id=WELLS, rejected_by=ADMIN, reason="no budget"),
    "campaign_paused": AdminCampaignPaused(campaign_id=WELLS, paused_by=ADMIN, reason=None),
    "campaign_closed": AdminCampaignClosed(campaign_id=WELLS, closed_by=ADMIN, reason="done"),
    "new_follower": UserFollowedUser(follower_id=JOHN, followed_user_id=ME),
    "payout_requested": payout,
    "payout_approved": PayoutApproved(request_id=PAYOUT, approved_by=ADMIN, approved_at=NOW),
    "payout_denied": PayoutDenied(request_id=PAYOUT, denied_by=ADMIN, denial_reason="papers", denied_at=NOW),
    "payout_completed": PayoutCompleted(
        request_id=PAYOUT, stripe_transfer_id="tr", actual_arrival_date=NOW.date(), completed_at=NOW
    ),
    "payout_failed": PayoutFailed(request_id=PAYOUT, failure_reason="closed", failed_at=NOW, is_retryable=True),
    "bank_account_failed": PayoutBankAccountVerificationFailed(
        bank_account_id=ADMIN, user_id=ME, failure_reason="name", attempt_count=1, can_retry=True
    ),
    "account_suspended": suspended(ME),
    "new_sign_in": UserLoggedIn(user_id=ME, ip_address="192.0.2.1", user_agent="Firefox", timestamp=NOW),
    "project_update": update,
}
"""One event for each message, all to me but for the first."""
