"""A world whose activity feeds are read."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

from fundlyhub import (
    Payload,
    UserFollowedCampaign,
    UserFollowedOrganization,
    UserFollowedUser,
)
from fundlyhub.database import get_engine
from fundlyhub.events.catalogue.admin import AdminUserSuspended
from fundlyhub.events.catalogue.user import UserProfileUpdated, UserRegistered
from fundlyhub.processors.shared.last_writer_fields import Entity
from fundlyhub.processors.writes import ActivityFeedProcessor, ReferenceWriteProcessor, SubscriptionWriteProcessor
from fundlyhub.processors.writes.activity_feed.reading import Page, home_feed, profile_feed
from fundlyhub.testing.convergence import START
from tests.processors.world import World
from tests.support.make import campaign, completed

ME, JOHN, MARY = (UUID(int=n) for n in (1, 2, 3))
WELLS, ROOFS = UUID(int=11), UUID(int=12)
CHARITY = UUID(int=21)
GIFT = UUID(int=31)
PROCESSORS = (ReferenceWriteProcessor, SubscriptionWriteProcessor, ActivityFeedProcessor)


class Feeds(World):
    """A world whose feeds are read."""

    def home(self, user: UUID = ME, **options: Any) -> Page:
        """A user's home feed."""
        with self.engine.begin() as db:
            return home_feed(db, user, **options)

    def texts(self, user: UUID = ME) -> list[str]:
        """The lines of a user's home feed, the newest first."""
        return [line.text for line in self.home(user).lines]

    def profile(self, kind: str, one: UUID) -> list[str]:
        """The lines of a profile, the newest first."""
        with self.engine.begin() as db:
            return [line.text for line in profile_feed(db, Entity(kind, one)).lines]


def made() -> Feeds:
    """I follow John and the campaign Wells, which Mary has started."""
    world = Feeds(get_engine("app"), PROCESSORS)
    world.tell(
        user(JOHN, "John"),
        user(MARY, "Mary"),
        UserFollowedUser(follower_id=ME, followed_user_id=JOHN),
        UserFollowedCampaign(user_id=ME, campaign_id=WELLS, follow_type="user"),
        campaign(WELLS, user_id=MARY, title="Wells"),
    )
    return world


def user(one: UUID, name: str) -> UserRegistered:
    return UserRegistered(user_id=one, email=f"{name}@example.org", name=name, registration_method="email")


def suspended(one: UUID) -> AdminUserSuspended:
    return AdminUserSuspended(user_id=one, suspended_by=MARY, reason="r", duration=1, suspended_until=START)


def private(one: UUID) -> UserProfileUpdated:
    return UserProfileUpdated(user_id=one, changes={"profile_visibility": "private"})


def follow_charity(follower: UUID = JOHN) -> UserFollowedOrganization:
    return UserFollowedOrganization(follower_id=follower, organization_id=CHARITY)


def gift(one: UUID = WELLS, **fields: Any) -> Payload:
    return completed(one, donation_id=GIFT, donor_id=JOHN, amount=Decimal("25.00"), **fields)
