"""Subscriptions, references and the feed: any order, duplication and company ends in the rows of the ordered run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from fundlyhub import (
    CampaignCreated,
    DonationInitiated,
    Event,
    OrganizationVerified,
    UserFollowedCampaign,
    UserFollowedOrganization,
    UserFollowedUser,
    UserUnfollowedCampaign,
    UserUnfollowedOrganization,
    UserUnfollowedUser,
)
from fundlyhub.database import get_engine
from fundlyhub.events.catalogue.admin import AdminCampaignPaused, AdminUserDeleted, AdminUserSuspended
from fundlyhub.events.catalogue.campaign import CampaignDeleted, CampaignStatusChanged, CampaignUpdated
from fundlyhub.events.catalogue.user import UserProfileUpdated, UserRegistered
from fundlyhub.processors.writes import ActivityFeedProcessor, ReferenceWriteProcessor, SubscriptionWriteProcessor
from fundlyhub.settings import Settings
from tests.processors.convergence import (
    START,
    Delivered,
    Subject,
    at_once_and_alone,
    deliveries,
    in_order_and_as_delivered,
    logged,
)
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
returns = st.builds(refunded, few.map(DONATIONS.__getitem__), st.sampled_from(["4.00", "10.00"]))
news = st.one_of(
    st.builds(lambda one: campaign(one), campaigns),
    st.builds(lambda one: OrganizationVerified(organization_id=one, verified_by=USERS[5], verified_at=START), users),
)


@pytest.fixture
def app(settings: Settings) -> Engine:
    """An engine on the App DB of a fresh platform."""
    return get_engine("app")


@pytest.fixture
def subscriptions(app: Engine) -> Subject:
    """The processor with its tables."""
    return Subject(SubscriptionWriteProcessor, ("follows", "follow_counts"), app)


@pytest.fixture
def references(app: Engine) -> Subject:
    """The processor with its tables."""
    return Subject(ReferenceWriteProcessor, ("entity_fields", "entities"), app)


@pytest.fixture
def feed(app: Engine) -> Subject:
    """The processor with its tables."""
    return Subject(ActivityFeedProcessor, ("feed_follows", "feed_gifts", "activities", "timeline_entries"), app)


def standing(events: Iterable[Event]) -> set[tuple[Any, ...]]:
    """Who follows whom in the end, computed plainly: pairs whose last event is a follow."""
    last: dict[Any, Event] = {}
    for event in sorted(events, key=lambda e: (e.timestamp, e.position)):
        said: Any = event.payload
        follower = getattr(said, "follower_id", None) or said.user_id
        followed = next(
            (kind, getattr(said, name))
            for kind, name in (
                ("user", "followed_user_id"), ("user", "unfollowed_user_id"), ("organization", "organization_id"),
                ("campaign", "campaign_id"),
            )
            if hasattr(said, name)
        )  # fmt: skip
        last[follower, *followed] = event
    return {pair for pair, event in last.items() if "unfollowed" not in event.type and (pair[0], "user") != pair[:0:-1]}


def counted(pairs: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The counts of these pairs."""
    counts: dict[Any, list[int]] = defaultdict(lambda: [0, 0])
    for follower, kind, followed in pairs:
        counts[kind, followed][0] += 1
        counts["user", follower][1] += 1
    return sorted((*entity, *numbers) for entity, numbers in counts.items())


@many
@given(delivered=deliveries(follows))
def test_subscriptions_end_as_the_last_words_say_and_the_counts_as_a_recount(
    subscriptions: Subject, delivered: Delivered
) -> None:
    in_order, found = in_order_and_as_delivered(subscriptions, delivered)
    assert found == in_order
    pairs = standing(delivered[0])
    assert {row[:3] for row in found["follows"] if row[5]} == pairs
    assert found["follow_counts"] == counted(pairs)


@many
@given(delivered=deliveries(entity_payloads))
def test_references_end_in_the_same_rows(references: Subject, delivered: Delivered) -> None:
    in_order, found = in_order_and_as_delivered(references, delivered)
    assert found == in_order


@many
@given(delivered=deliveries(st.one_of(follows, gifts, begun, returns, news)))
def test_the_feed_ends_in_the_same_rows(feed: Subject, delivered: Delivered) -> None:
    in_order, found = in_order_and_as_delivered(feed, delivered)
    assert found == in_order


def test_two_words_of_one_time_are_told_apart_by_their_positions(subscriptions: Subject) -> None:
    words = [follow_payload(USERS[0], "user", 1, follows) for follows in (True, False)]
    log = [Event.of(word, timestamp=START).model_copy(update={"position": n}) for n, word in enumerate(words, 1)]
    for event in reversed(log):
        subscriptions.apply([event])
    assert [row[5] for row in subscriptions.stored()["follows"]] == [False]
    assert subscriptions.stored()["follow_counts"] == []


@pytest.mark.parametrize("seed", range(2))
def test_batches_at_once_end_in_the_same_subscriptions_and_counts(subscriptions: Subject, seed: int) -> None:
    random = Random(seed)
    kinds = ["user", "organization", "campaign"]
    log = logged(
        [
            follow_payload(random.choice(USERS), random.choice(kinds), random.randrange(6), random.random() < 0.6)
            for _ in range(500)
        ],
        random,
    )
    at_once, alone = at_once_and_alone(subscriptions, log, random)
    assert at_once == alone
    assert at_once["follow_counts"] == counted(standing(log))


@pytest.mark.parametrize("subject", ["references", "feed"])
def test_batches_at_once_end_in_the_same_rows(subject: str, request: pytest.FixtureRequest) -> None:
    random = Random(1)
    payloads: list[Any] = []
    flags = [None, False, True]
    for _ in range(400):
        one, user = random.choice(CAMPAIGNS), random.choice(USERS)
        donation = random.choice(DONATIONS)
        payloads.append(
            random.choice(
                [
                    campaign(one, title=random.choice("abc"), status=random.choice(["active", "paused"])),
                    CampaignUpdated(campaign_id=one, user_id=user, changes={"title": random.choice("xyz")}),
                    CampaignCreated.model_validate({**campaign(one).to_wire(), "visibility": "private"}),
                    UserProfileUpdated(user_id=user, changes={"name": random.choice("def")}),
                    completed(one, donation_id=donation, donor_id=user, is_anonymous=random.choice(flags)),
                    refunded(donation, random.choice(["4.00", "10.00"])),
                    follow_payload(user, "campaign", random.randrange(6), random.random() < 0.6),
                ]
            )
        )
    found: Subject = request.getfixturevalue(subject)
    at_once, alone = at_once_and_alone(found, logged(payloads, random), random)
    assert at_once == alone
    assert all(at_once.values())
