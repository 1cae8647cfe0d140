"""Users, organizations and campaigns: created, changed, followed, hidden and shown again. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

from fundlyhub import (
    AdminUserSuspended,
    AdminUserUnsuspended,
    CampaignCreated,
    CampaignStatusChanged,
    CampaignUpdated,
    OrganizationCreated,
    OrganizationVerified,
    UserFollowedCampaign,
    UserFollowedOrganization,
    UserFollowedUser,
    UserProfileUpdated,
    UserRegistered,
    UserUnfollowedCampaign,
    UserUnfollowedOrganization,
    UserUnfollowedUser,
)
from fundlyhub.demo import business
from fundlyhub.demo.contact_details import kept, reach
from fundlyhub.demo.scenario import DEEDS, FIRST_NAMES, LAST_NAMES, NOUNS, START, Cast, Transaction


def register(cast: Cast) -> Transaction:
    """Register a user."""
    user = cast.uuid()
    cast.users.append(user)
    name = f"{cast.rng.choice(FIRST_NAMES)} {cast.rng.choice(LAST_NAMES)}"
    email = f"person{len(cast.users)}@example.org"
    payload = UserRegistered(user_id=user, email=email, name=name, registration_method="email")
    transaction, number = cast.told("user", user, payload, name=name), len(cast.users)
    row = reach(cast.run, user, number)
    transaction.add(business.REACH, row)
    transaction.kept = kept(row, number)
    return transaction


def found(cast: Cast) -> Transaction:
    """Create an organization."""
    organization = cast.uuid()
    cast.organizations.append(organization)
    name = f"{cast.rng.choice(NOUNS)} Society {len(cast.organizations)}"
    payload = OrganizationCreated(
        organization_id=organization, legal_name=name, created_by=cast.rng.choice(cast.users),
        verification_status="pending",
    )  # fmt: skip
    return cast.told("organization", organization, payload, name=name)


def open_campaign(cast: Cast) -> Transaction:
    """Create a campaign; one in ten is a draft, one in twenty private."""
    campaign, owner = cast.uuid(), cast.rng.choice(cast.users)
    currency = cast.rng.choice(("USD", "USD", "EUR", "GBP", "JPY"))
    cast.campaigns.append((campaign, owner, currency))
    title = _title(cast)
    fields: Any = {
        "title": title,
        "status": "draft" if cast.rng.random() < 0.1 else "active",
        "visibility": "private" if cast.rng.random() < 0.05 else "public",
    }
    payload = CampaignCreated(
        campaign_id=campaign, user_id=owner, slug=f"campaign-{campaign}", goal_amount=Decimal(10_000),
        story="<p>What it is for.</p><p>And what it is <b>not</b> for.</p>", currency=currency, **fields,
    )  # fmt: skip
    transaction = cast.told("campaign", campaign, payload, **fields)
    row = {
        "run": cast.run, "id": campaign, "owner_id": owner, "title": title, "currency": currency,
        "at": transaction.events[0].timestamp,
    }  # fmt: skip
    transaction.add(business.CAMPAIGN, row)
    return transaction


def follow(cast: Cast) -> Transaction:
    """Follow or unfollow a user, an organization or a campaign."""
    kind, follows = cast.rng.choice(("user", "user", "organization", "campaign")), cast.rng.random() < 0.8
    follower, other = cast.rng.sample(cast.users, 2)
    followed = {
        "user": other,
        "organization": cast.rng.choice(cast.organizations),
        "campaign": cast.popular_campaign()[0],
    }[kind]
    event = cast.event(_follow(follower, kind, followed, follows))
    row = {
        "run": cast.run, "follower_id": follower, "kind": kind, "followed_id": followed, "follows": follows,
        "at": event.timestamp,
    }  # fmt: skip
    transaction = Transaction()
    transaction.add(business.FOLLOW, row, event)
    return transaction


def _follow(follower: UUID, kind: str, followed: UUID, follows: bool) -> Any:
    if kind == "user" and follows:
        return UserFollowedUser(follower_id=follower, followed_user_id=followed)
    if kind == "user":
        return UserUnfollowedUser(follower_id=follower, unfollowed_user_id=followed)
    if kind == "organization":
        organization = UserFollowedOrganization if follows else UserUnfollowedOrganization
        return organization(follower_id=follower, organization_id=followed)
    campaign = UserFollowedCampaign if follows else UserUnfollowedCampaign
    return campaign(user_id=follower, campaign_id=followed, follow_type="user")


def change(cast: Cast) -> Transaction:
    """A new title or status, a profile that hides or shows itself, a suspension, a verification."""
    campaign, owner, _ = cast.rng.choice(cast.campaigns)
    user, organization = cast.rng.choice(cast.users), cast.rng.choice(cast.organizations)
    match cast.rng.randrange(6):
        case 0:
            return _retitle(cast, campaign, owner)
        case 1:
            status: Any = cast.rng.choice(("active", "active", "paused", "ended"))
            said = CampaignStatusChanged(campaign_id=campaign, previous_status="active", new_status=status)
            return cast.told("campaign", campaign, said, status=status)
        case 2:
            profile = cast.rng.choice(("public", "public", "private"))
            hidden = UserProfileUpdated.model_validate({"userId": user, "changes": {"profile_visibility": profile}})
            return cast.told("user", user, hidden, profile=profile)
        case 3:
            back = AdminUserUnsuspended(user_id=user, unsuspended_by=owner)
            return cast.told("user", user, back, suspended="no")
        case 4 if cast.rng.random() < 0.3:
            away = AdminUserSuspended(user_id=user, suspended_by=owner, reason="r", duration=7, suspended_until=START)
            return cast.told("user", user, away, suspended="yes")
        case _:
            verified = OrganizationVerified(organization_id=organization, verified_by=owner, verified_at=START)
            return cast.told("organization", organization, verified, status="verified")


def _retitle(cast: Cast, campaign: UUID, owner: UUID) -> Transaction:
    title = _title(cast)
    edit = CampaignUpdated.model_validate({"campaignId": campaign, "userId": owner, "changes": {"title": title}})
    transaction = cast.told("campaign", campaign, edit, title=title)
    at = transaction.events[0].timestamp
    transaction.add(business.EDIT, {"run": cast.run, "campaign_id": campaign, "editor_id": owner, "at": at})
    return transaction


def _title(cast: Cast) -> str:
    return f"{cast.rng.choice(DEEDS)} the {cast.rng.choice(NOUNS)}"
