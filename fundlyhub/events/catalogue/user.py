"""Events of users: registration, logins, profiles and follows."""

from __future__ import annotations

from typing import Literal

from fundlyhub.events.payload import (
    UUID,
    Changes,
    Email,
    Flag,
    Kept,
    Line,
    Link,
    MomentMs,
    Payload,
    Text,
    TextMap,
)

Role = Literal["visitor", "donor", "organizer", "admin"]
RegistrationMethod = Literal["email", "google", "facebook"]


class _Registration(Payload):
    user_id: UUID
    email: Email
    name: Line | None = None
    role: Role | None = None


class UserRegisteredV1(_Registration, type="user.registered", version="1.0.0", aggregate=("user", "user_id")):
    """A user has registered; the method may be unknown."""

    registration_method: RegistrationMethod | None = None


class UserRegistered(_Registration, type="user.registered", version="2.0.0", aggregate=("user", "user_id")):
    """A user has registered."""

    registration_method: RegistrationMethod


class UserLoggedIn(Payload, type="user.logged_in", aggregate=("user", "user_id")):
    """A user has logged in; the session id is a secret and is not stored."""

    user_id: UUID
    ip_address: Line | None = None
    user_agent: Text | None = None
    timestamp: MomentMs


class ProfileChanges(Changes):
    """Columns of a profile that this event may change: not the role nor the account's status."""

    name: Kept[Line] = None
    email: Kept[Email] = None
    avatar: Link | None = None
    bio: Text | None = None
    location: Line | None = None
    website: Link | None = None
    social_links: TextMap | None = None
    profile_visibility: Kept[Literal["public", "private"]] = None
    is_verified: Kept[Flag] = None


class UserProfileUpdated(Payload, type="user.profile_updated", aggregate=("user", "user_id")):
    """A profile has been edited."""

    user_id: UUID
    changes: ProfileChanges
    previous_values: ProfileChanges | None = None


class _CampaignFollow(Payload):
    user_id: UUID
    campaign_id: UUID
    follow_type: Literal["user", "organization"]


class UserFollowedCampaign(_CampaignFollow, type="user.followed_campaign", aggregate=("user", "user_id")):
    """A user has followed a campaign."""


class UserUnfollowedCampaign(_CampaignFollow, type="user.unfollowed_campaign", aggregate=("user", "user_id")):
    """A user has unfollowed a campaign."""


class UserFollowedUser(Payload, type="user.followed_user", aggregate=("user", "follower_id")):
    """A user has followed another user."""

    follower_id: UUID
    followed_user_id: UUID
    follower_email: Email | None = None
    followed_user_email: Email | None = None


class UserUnfollowedUser(Payload, type="user.unfollowed_user", aggregate=("user", "follower_id")):
    """A user has unfollowed another user."""

    follower_id: UUID
    unfollowed_user_id: UUID


class UserFollowedOrganization(Payload, type="user.followed_organization", aggregate=("user", "follower_id")):
    """A user has followed an organization."""

    follower_id: UUID
    organization_id: UUID
    organization_name: Line | None = None


class UserUnfollowedOrganization(Payload, type="user.unfollowed_organization", aggregate=("user", "follower_id")):
    """A user has unfollowed an organization."""

    follower_id: UUID
    organization_id: UUID
