"""Strategies for events that meet: few users, campaigns and donations, spoken of in every way."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from fundlyhub import (
    DonationInitiated,
    OrganizationVerified,
    UserFollowedCampaign,
    UserFollowedOrganization,
    UserFollowedUser,
    UserUnfollowedCampaign,
    UserUnfollowedOrganization,
    UserUnfollowedUser,
)
from fundlyhub.events.catalogue.admin import AdminCampaignPaused, AdminUserDeleted, AdminUserSuspended
from fundlyhub.events.catalogue.campaign import CampaignDeleted, CampaignStatusChanged, CampaignUpdated
from fundlyhub.events.catalogue.user import UserProfileUpdated, UserRegistered
from fundlyhub.testing.convergence import START
from tests.support.make import campaign, completed, refunded

USERS, ORGANIZATIONS, CAMPAIGNS, DONATIONS = ([UUID(int=100 * kind + n) for n in range(6)] for kind in range(1, 5))
many = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def follow_payload(follower: UUID, kind: str, followed: int, follows: bool) -> Any:
    """A follow or an unfollow of any kind."""
    match kind, follows:
        case "user", True:
            return UserFollowedUser(follower_id=follower, followed_user_id=USERS[followed])
        case "user", False:
            return UserUnfollowedUser(follower_id=follower, unfollowed_user_id=USERS[followed])
        case "organization", _:
            made = UserFollowedOrganization if follows else UserUnfollowedOrganization
            return made(follower_id=follower, organization_id=ORGANIZATIONS[followed])
        case _:
            of_campaign = UserFollowedCampaign if follows else UserUnfollowedCampaign
            return of_campaign(user_id=follower, campaign_id=CAMPAIGNS[followed], follow_type="user")


few = st.integers(0, 2)
users, campaigns = few.map(USERS.__getitem__), few.map(CAMPAIGNS.__getitem__)
follows = st.builds(
    follow_payload, users, st.sampled_from(["user", "organization", "campaign"]), st.integers(0, 1), st.booleans()
)
statuses = st.sampled_from(["draft", "active", "paused", "ended"])
titles = st.sampled_from(["Wells", "Roofs", "<b>Books</b>"])
entity_payloads = st.one_of(
    st.builds(
        lambda user, name: UserRegistered(user_id=user, email="a@example.org", name=name, registration_method="email"),
        users,
        st.sampled_from(["Ann", "Bo", None]),
    ),
    st.builds(
        lambda user, changes: UserProfileUpdated(user_id=user, changes=changes),
        users,
        st.fixed_dictionaries(
            {}, optional={"name": titles, "profile_visibility": st.sampled_from(["public", "private"])}
        ),
    ),
    st.builds(
        lambda user: AdminUserSuspended(
            user_id=user, suspended_by=USERS[5], reason="r", duration=1, suspended_until=START
        ),
        users,
    ),
    st.builds(lambda user: AdminUserDeleted(user_id=user, deleted_by=USERS[5]), users),
    st.builds(lambda one, title, status: campaign(one, title=title, status=status), campaigns, titles, statuses),
    st.builds(
        lambda one, changes: CampaignUpdated(campaign_id=one, user_id=USERS[0], changes=changes),
        campaigns,
        st.fixed_dictionaries({}, optional={"title": titles, "status": statuses, "summary": st.none()}),
    ),
    st.builds(
        lambda one, status: CampaignStatusChanged(campaign_id=one, previous_status="draft", new_status=status),
        campaigns,
        statuses,
    ),
    st.builds(lambda one: AdminCampaignPaused(campaign_id=one, paused_by=USERS[5]), campaigns),
    st.builds(lambda one: CampaignDeleted(campaign_id=one, user_id=USERS[0]), campaigns),
)
gifts = st.builds(
    lambda donation, one, donor, anonymous: completed(
        one, donation_id=donation, donor_id=donor, is_anonymous=anonymous
    ),
    few.map(DONATIONS.__getitem__),
    campaigns,
    st.one_of(st.none(), users),
    st.sampled_from([None, True, False]),
)
begun = st.builds(
    lambda donation, anonymous: DonationInitiated(
        donation_id=donation, campaign_id=CAMPAIGNS[0], amount=Decimal(10), payment_method="card",
        is_anonymous=anonymous,
    ),
    few.map(DONATIONS.__getitem__),
    st.booleans(),
)  # fmt: skip
returns = st.builds(
    lambda donation, amount, name, told_by: refunded(donation, amount, refund_transaction_id=name, campaign_id=told_by),
    few.map(DONATIONS.__getitem__),
    st.sampled_from(["4.00", "6.000", "10.00"]),
    st.sampled_from(["re_1", "re_2"]),
    st.sampled_from([None, CAMPAIGNS[0]]),  # the payment webhook names the campaign
)
news = st.one_of(
    st.builds(lambda one: campaign(one), campaigns),
    st.builds(lambda one: OrganizationVerified(organization_id=one, verified_by=USERS[5], verified_at=START), users),
)
