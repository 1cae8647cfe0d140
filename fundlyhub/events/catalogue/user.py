"""Events of users: registration, logins, profiles and follows."""

from __future__ import annotations

from typing import Annotated, Literal

from fundlyhub.events.payload import UUID, Changes, Email, Flag, Kept, Line, Link, MomentMs, Payload, Text, TextMap
from fundlyhub.events.personal import ORGANIZATION, Personal

Role = Literal["visitor", "donor", "organizer", "admin"]
RegistrationMethod = Literal["email", "google", "facebook"]


class _Registration(Payload):
    user_id: UUID
    email: Annotated[Email, Personal("address", "user_id")]
    name: Annotated[Line | None, Personal("name", "user_id")] = None
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
    ip_address: Annotated[Line | None, Personal("network", "user_id")] = None
    user_agent: Annotated[Text | None, Personal("network", "user_id")] = None
    timestamp: MomentMs


class ProfileChanges(Changes):
    """Columns of a profile that this event may change: not the role nor the account's status."""

    name: Annotated[Kept[Line], Personal("name", "user_id")] = None
    email: Annotated[Kept[Email], Personal("address", "user_id")] = None
    avatar: Annotated[Link | None, Personal("picture", "user_id")] = None
    bio: Annotated[Text | None, Personal("text", "user_id")] = None
    location: Annotated[Line | None, Personal("place", "user_id")] = None
    website: Annotated[Link | None, Personal("link", "user_id")] = None
    social_links: Annotated[TextMap | None, Personal("link", "user_id")] = None
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
    follower_email: Annotated[Email | None, Personal("address", "follower_id")] = None
    followed_user_email: Annotated[Email | None, Personal("address", "followed_user_id")] = None


class UserUnfollowedUser(Payload, type="user.unfollowed_user", aggregate=("user", "follower_id")):
    """A user has unfollowed another user."""

    follower_id: UUID
    unfollowed_user_id: UUID


class UserFollowedOrganization(Payload, type="user.followed_organization", aggregate=("user", "follower_id")):
    """A user has followed an organization."""

    follower_id: UUID
    organization_id: UUID
    organization_name: Annotated[Line | None, ORGANIZATION] = None


class UserUnfollowedOrganization(Payload, type="user.unfollowed_organization", aggregate=("user", "follower_id")):
    """A user has unfollowed an organization."""

    follower_id: UUID
    organization_id: UUID
