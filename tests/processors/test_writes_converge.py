"""Subscriptions, references and the feed: any order, duplication and company ends in the rows of the ordered run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from fundlyhub import CampaignCreated, DonationInitiated, Event
from fundlyhub.database import get_engine
from fundlyhub.events.catalogue.campaign import CampaignUpdated
from fundlyhub.events.catalogue.user import UserProfileUpdated
from fundlyhub.processors.projections.search_index import SearchIndexProcessor
from fundlyhub.processors.writes import ActivityFeedProcessor, ReferenceWriteProcessor, SubscriptionWriteProcessor
from fundlyhub.settings import Settings
from fundlyhub.testing.convergence import (
    START,
    Delivered,
    Subject,
    at_once_and_alone,
    deliveries,
    in_order_and_as_delivered,
    logged,
    overlapping,
)
from tests.processors.strategies import (
    CAMPAIGNS,
    DONATIONS,
    USERS,
    begun,
    entity_payloads,
    follow_payload,
    follows,
    gifts,
    many,
    news,
    returns,
)
from tests.support.make import campaign, completed, refunded


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
    return Subject(
        ActivityFeedProcessor, ("feed_follows", "feed_gifts", "feed_refunds", "activities", "timeline_entries"), app
    )


SEARCH_DOCUMENTS = "(SELECT kind, id, popularity, digest FROM search_documents)"
"""Without the versions, which tell how often a document has changed on the way."""


@pytest.fixture
def search(analytics: Engine) -> Subject:
    """The processor with its tables."""
    projections = [f"{kind}_search_projection" for kind in ("campaign", "user", "organization")]
    tables = ("entity_fields", "search_follows", "search_gifts", SEARCH_DOCUMENTS, *projections)
    return Subject(SearchIndexProcessor, tables, analytics)


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
@pytest.mark.chaos  # for its length
def test_references_end_in_the_same_rows(references: Subject, delivered: Delivered) -> None:
    in_order, found = in_order_and_as_delivered(references, delivered)
    assert found == in_order


@many
@given(delivered=deliveries(st.one_of(follows, gifts, begun, returns, news)))
def test_the_feed_ends_in_the_same_rows(feed: Subject, delivered: Delivered) -> None:
    in_order, found = in_order_and_as_delivered(feed, delivered)
    assert found == in_order


@many
@given(delivered=deliveries(st.one_of(entity_payloads, entity_payloads, follows, gifts)))
def test_the_search_index_ends_in_the_same_rows(search: Subject, delivered: Delivered) -> None:
    in_order, found = in_order_and_as_delivered(search, delivered)
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


@pytest.mark.parametrize("subject", ["references", "feed", "search"])
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
    assert sum(map(len, at_once.values())) > 20


def edited(**changes: Any) -> CampaignUpdated:
    return CampaignUpdated.model_validate({"campaignId": CAMPAIGNS[0], "userId": USERS[0], "changes": changes})


BEGUN = DonationInitiated(
    donation_id=DONATIONS[0], campaign_id=CAMPAIGNS[0], amount=Decimal(10), payment_method="card", is_anonymous=True
)
PAID = completed(CAMPAIGNS[0], donation_id=DONATIONS[0], is_anonymous=False)
FOLLOW, UNFOLLOW = (follow_payload(USERS[0], "user", 1, follows) for follows in (True, False))
OTHER = follow_payload(USERS[2], "user", 1, True)
MEETINGS = [
    ("references", [campaign(CAMPAIGNS[0], status="draft")], edited(status="active"), edited(title="New")),
    ("references", [], campaign(CAMPAIGNS[0], status="draft"), edited(status="active")),
    ("search", [campaign(CAMPAIGNS[0], status="draft")], edited(status="active"), edited(title="New")),
    ("search", [campaign(CAMPAIGNS[0])], PAID, completed(CAMPAIGNS[0])),
    ("search", [], PAID, campaign(CAMPAIGNS[0])),
    ("search", [campaign(CAMPAIGNS[0])], PAID, PAID),
    ("subscriptions", [], FOLLOW, UNFOLLOW),
    ("subscriptions", [FOLLOW], UNFOLLOW, FOLLOW),
    ("subscriptions", [], FOLLOW, OTHER),
    ("subscriptions", [FOLLOW], UNFOLLOW, OTHER),
    ("feed", [], PAID, BEGUN),
    ("feed", [PAID], BEGUN, refunded(DONATIONS[0], "10.00")),
    ("feed", [], FOLLOW, UNFOLLOW),
]


@pytest.mark.parametrize(("subject", "before", "one", "other"), MEETINGS)
def test_two_workers_that_meet_lose_nothing(
    request: pytest.FixtureRequest, subject: str, before: list[Any], one: Any, other: Any
) -> None:
    found: Subject = request.getfixturevalue(subject)
    log = [
        Event.of(payload, timestamp=START + timedelta(minutes=n)).model_copy(update={"position": n})
        for n, payload in enumerate([*before, one, other], 1)
    ]
    found.apply(log)
    in_order = found.stored()
    for first, second in ((log[-2], log[-1]), (log[-1], log[-2])):
        found.empty()
        if before:
            found.apply(log[:-2])
        assert overlapping(found, [first], [second]) == in_order
