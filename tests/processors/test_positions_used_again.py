"""The feed after a log has lost its tail: at the positions of lost events stand other events now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import pytest

from fundlyhub import Event, Payload, UserFollowedUser
from fundlyhub.database import get_engine
from fundlyhub.events.catalogue.campaign import CampaignGoalReached, CampaignUpdated
from fundlyhub.events.catalogue.payout import PayoutRequested
from fundlyhub.events.catalogue.user import UserLoggedIn
from fundlyhub.processors.projections import CampaignStatsProcessor
from fundlyhub.processors.writes import ActivityFeedProcessor, RecipientWriteProcessor
from fundlyhub.settings import Settings
from fundlyhub.testing.convergence import START
from tests.processors.feeds import GIFT, JOHN, MARY, ME, WELLS, Feeds, follow_charity, gift, made
from tests.support.make import completed, refunded

PLACE = 50
"""A position that is used twice."""
ENTRIES = """
    SELECT count(*) FROM timeline_entries AS entry
    WHERE NOT EXISTS (SELECT FROM activities AS one
                      WHERE one.position = entry.position AND one.occurred_at = entry.occurred_at)
"""
GIVEN = "John gave 25.00 USD to Wells"
REACHED = "Wells reached its goal"
UPDATED = "Mary updated Wells"
FOLLOWED = "John followed an organization"


@pytest.fixture
def world(settings: Settings) -> Feeds:
    """I follow John and the campaign Wells, which Mary has started."""
    return made()


def event(payload: Payload, position: int, minutes: int = 100) -> Event:
    return Event.of(payload, timestamp=START + timedelta(minutes=minutes)).model_copy(update={"position": position})


def at(one: Event, position: int) -> Event:
    """The same event at another position: it was published again under its id."""
    return one.model_copy(update={"position": position})


def reached(position: int = PLACE) -> Event:
    paid = CampaignGoalReached(campaign_id=WELLS, goal_amount=Decimal(1), total_raised=Decimal(1), donor_count=1)
    return event(paid, position, 200)


def updated(position: int = PLACE) -> Event:
    return event(CampaignUpdated(campaign_id=WELLS, user_id=MARY, changes={"title": "Wells"}), position)


def apply(world: Feeds, *events: Event) -> None:
    for one in events:
        with world.engine.begin() as db:
            ActivityFeedProcessor().handle_batch([one], db)


def lines(world: Feeds) -> Sequence[str]:
    """What is new in my feed; what a timeline names must be there."""
    with world.engine.begin() as db:
        assert db.exec_driver_sql(ENTRIES).scalar_one() == 0
    return [text for text in world.texts() if text != "Mary started Wells"]


def lost_gift() -> Event:
    return event(gift(is_anonymous=False), PLACE)


@pytest.mark.parametrize(
    ("lost", "line"),
    [(updated(), UPDATED), (lost_gift(), GIVEN), (event(follow_charity(), PLACE), FOLLOWED)],
    ids=["update", "gift", "follow"],
)
def test_the_event_that_is_in_the_log_has_its_line_and_the_lost_one_has_none(
    world: Feeds, lost: Event, line: str
) -> None:
    apply(world, lost)
    assert lines(world) == [line]
    apply(world, reached())
    assert lines(world) == [REACHED]
    apply(world, reached(), reached())  # other events again, at the same place
    assert lines(world) == [REACHED]


@pytest.mark.parametrize("again", [PLACE - 5, PLACE + 5])
@pytest.mark.parametrize("other_first", [True, False])
@pytest.mark.parametrize(
    ("lost", "line"), [(lost_gift(), GIVEN), (event(follow_charity(), PLACE), FOLLOWED)], ids=["gift", "follow"]
)
def test_a_lost_event_that_is_published_again_has_one_line_beside_that_of_its_successor(
    world: Feeds, lost: Event, line: str, other_first: bool, again: int
) -> None:
    apply(world, lost)
    news = [reached(), at(lost, again)]
    apply(world, *(news if other_first else reversed(news)))
    assert lines(world) == [REACHED, line]


def test_what_follows_from_a_lost_event_takes_no_line_of_another_one_away(world: Feeds) -> None:
    apply(world, lost_gift(), reached())
    refund = refunded(GIFT, "25.00", original_amount=Decimal("25.00"))
    apply(world, event(refund, PLACE + 1, 300))
    assert lines(world) == [REACHED]


@pytest.mark.parametrize("same", [True, False])
def test_a_row_of_an_older_release_names_no_event_and_is_known_by_what_it_says(world: Feeds, same: bool) -> None:
    lost = updated()
    apply(world, lost)
    with world.engine.begin() as db:
        db.exec_driver_sql("UPDATE activities SET event_id = NULL")
        db.exec_driver_sql("UPDATE feed_follows SET event_id = NULL")
    apply(world, lost if same else reached())
    assert lines(world) == ([UPDATED] if same else [REACHED])
    unfollow = UserFollowedUser(follower_id=ME, followed_user_id=JOHN)
    apply(world, event(unfollow, PLACE + 2, 300))
    assert lines(world) == ([UPDATED] if same else [REACHED])


@pytest.mark.parametrize("again", [PLACE - 5, PLACE + 5])
def test_a_donation_that_is_published_again_was_not_completed_twice(settings: Settings, again: int) -> None:
    lost = lost_gift()
    with get_engine("analytics").begin() as db:
        for one in (lost, at(lost, again), at(lost, again)):
            CampaignStatsProcessor().handle_batch([one], db)
        assert db.exec_driver_sql("SELECT * FROM donation_anomalies").all() == []
        assert db.exec_driver_sql("SELECT position, event_id FROM donation_facts").all() == [(again, lost.id)]
        other = event(gift(is_anonymous=False), PLACE)
        CampaignStatsProcessor().handle_batch([other], db)
        twice = db.exec_driver_sql("SELECT kind, position FROM donation_anomalies").all()
        assert twice == [("completed_twice", max(again, PLACE))]


@pytest.mark.parametrize("again", [PLACE - 5, PLACE + 5])
def test_an_erasure_finds_what_was_written_before_its_event_was_published_again(settings: Settings, again: int) -> None:
    given = completed(WELLS, donation_id=GIFT, donor_id=None, donor_email="ada@example.org", donor_name="Ada")
    asked = PayoutRequested(
        request_id=GIFT, user_id=ME, fundraiser_id=WELLS, bank_account_id=GIFT, amount_str="1.00", currency="USD",
        is_first_payout=True, risk_score=0,
    )  # fmt: skip
    signed_in = UserLoggedIn(user_id=ME, ip_address="192.0.2.1", user_agent="Firefox", timestamp=START)
    with get_engine("app").begin() as db:
        for one in (event(given, PLACE), event(asked, PLACE), event(signed_in, PLACE)):
            for told in (one, at(one, again), at(one, again)):
                RecipientWriteProcessor().handle_batch([told], db)
        for table in ("gift_donors", "payout_requests", "sign_ins"):
            assert db.exec_driver_sql(f"SELECT position FROM {table}").all() == [(again,)], table  # ours
