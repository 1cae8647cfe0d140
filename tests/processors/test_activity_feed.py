"""What stands in the feeds, in which words, page by page, and what leaves them again."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection

from fundlyhub import (
    DonationInitiated,
    OrganizationCreated,
    OrganizationVerified,
    Payload,
    ProjectUpdateCreated,
    UserFollowedCampaign,
    UserFollowedOrganization,
    UserFollowedUser,
    UserUnfollowedCampaign,
    UserUnfollowedUser,
)
from fundlyhub.database import get_engine
from fundlyhub.errors import WrongUse
from fundlyhub.events.catalogue.admin import AdminUserDeleted, AdminUserSuspended, AdminUserUnsuspended
from fundlyhub.events.catalogue.campaign import (
    CampaignDeleted,
    CampaignGoalReached,
    CampaignStatusChanged,
    CampaignUpdated,
)
from fundlyhub.events.catalogue.project import ProjectUpdateDeleted, ProjectUpdateEdited
from fundlyhub.events.catalogue.user import UserProfileUpdated, UserRegistered
from fundlyhub.processors.shared.last_writer_fields import Entity
from fundlyhub.processors.writes import ActivityFeedProcessor, ReferenceWriteProcessor, SubscriptionWriteProcessor
from fundlyhub.processors.writes.activity_feed.reading import Line, Mark, Page, home_feed, profile_feed
from fundlyhub.settings import Settings
from tests.processors.convergence import START
from tests.processors.world import World
from tests.support.make import campaign, completed, refunded

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


@pytest.fixture
def world(settings: Settings) -> Feeds:
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


def test_a_feed_reads_like_a_diary(world: Feeds) -> None:
    world.tell(
        OrganizationCreated(
            organization_id=CHARITY, legal_name="Charity X", created_by=MARY, verification_status="pending"
        ),
        follow_charity(),
        gift(is_anonymous=False),
        CampaignGoalReached(campaign_id=WELLS, goal_amount=Decimal(1), total_raised=Decimal(1), donor_count=1),
        update := ProjectUpdateCreated(
            update_id=UUID(int=41), fundraiser_id=WELLS, author_id=MARY, title="Water!", body="…", visibility="public"
        ),
        CampaignUpdated(campaign_id=WELLS, user_id=MARY, changes={"title": "Deep wells"}),
    )
    assert world.texts() == [
        "Mary updated Deep wells",
        'Mary posted "Water!" on Deep wells',
        "Deep wells reached its goal",
        "John gave 25.00 USD to Deep wells",
        "John followed Charity X",
        "Mary started Deep wells",
    ]
    assert world.profile("user", JOHN) == ["John gave 25.00 USD to Deep wells", "John followed Charity X"]
    world.tell(OrganizationVerified(organization_id=CHARITY, verified_by=MARY, verified_at=START))
    assert world.profile("organization", CHARITY) == ["Charity X was verified"]
    world.tell(
        ProjectUpdateEdited(update_id=update.update_id, fundraiser_id=WELLS, author_id=MARY, changes={"title": "Rain"})
    )
    assert 'Mary posted "Rain" on Deep wells' in world.texts()


def test_a_line_reads_well_before_its_names_are_known(world: Feeds) -> None:
    world.tell(follow_charity(MARY), UserFollowedUser(follower_id=ME, followed_user_id=UUID(int=9)))
    world.tell(follow_charity(UUID(int=9)))
    assert world.texts()[0] == "Someone followed an organization"
    world.tell(user(UUID(int=9), "Zoe"))
    assert world.texts()[0] == "Zoe followed an organization"


class TestAnonymousGifts:
    @pytest.mark.parametrize("said", [None, True], ids=["unsaid", "anonymous"])
    def test_a_donor_is_not_named_unless_it_is_said_that_he_may_be(self, world: Feeds, said: bool | None) -> None:
        world.tell(gift(is_anonymous=said))
        assert world.texts()[0] == "Someone gave 25.00 USD to Wells"
        assert world.profile("user", JOHN) == []

    def test_the_beginning_of_a_gift_tells_whether_its_donor_may_be_named(self, world: Feeds) -> None:
        begun = {"donation_id": GIFT, "campaign_id": WELLS, "amount": Decimal(25), "payment_method": "card"}
        world.tell(gift())
        world.tell(DonationInitiated(**begun))
        assert world.texts()[0] == "John gave 25.00 USD to Wells"
        world.tell(DonationInitiated(**begun, is_anonymous=True))
        assert world.texts()[0] == "Someone gave 25.00 USD to Wells"
        assert world.profile("user", JOHN) == []

    def test_no_table_that_others_read_knows_an_anonymous_donor(self, world: Feeds) -> None:
        donor = UUID(int=99)
        world.tell(completed(WELLS, donor_id=donor, is_anonymous=True))
        with world.engine.begin() as db:
            for table in ("user_activities", "activities", "timeline_entries", "feed_gifts"):
                assert not mentions(db, table, donor)


def mentions(db: Connection, table: str, one: UUID) -> bool:
    return any(str(one) in str(tuple(row)) for row in db.exec_driver_sql(f"SELECT stored::text FROM {table} stored"))


class TestWhatIsUndoneLeavesTheFeed:
    def test_an_unfollow(self, world: Feeds) -> None:
        world.tell(follow := UserFollowedUser(follower_id=JOHN, followed_user_id=MARY))
        assert world.texts()[0] == "John followed Mary"
        world.tell(UserUnfollowedUser(follower_id=JOHN, unfollowed_user_id=MARY))
        assert world.texts() == ["Mary started Wells"]
        world.tell(follow)
        assert world.texts()[0] == "John followed Mary"

    def test_a_deleted_campaign(self, world: Feeds) -> None:
        world.tell(gift(is_anonymous=False), CampaignDeleted(campaign_id=WELLS, user_id=MARY))
        assert world.texts() == []
        assert world.profile("campaign", WELLS) == []

    def test_a_deleted_user(self, world: Feeds) -> None:
        world.tell(follow_charity(), gift(is_anonymous=False), AdminUserDeleted(user_id=JOHN, deleted_by=MARY))
        assert world.texts() == ["Mary started Wells"]
        assert world.profile("user", JOHN) == []
        with world.engine.begin() as db:
            assert not mentions(db, "user_activities", JOHN)

    def test_a_gift_given_back_whole_but_not_in_part(self, world: Feeds) -> None:
        world.tell(gift(is_anonymous=False))
        world.tell(refunded(GIFT, "5.00", original_amount=Decimal("25.00")))
        assert world.texts()[0] == "John gave 25.00 USD to Wells"
        world.tell(refunded(GIFT, "25.00", original_amount=Decimal("25.00")))
        assert world.texts() == ["Mary started Wells"]

    def test_a_gift_of_which_several_refunds_return_all(self, world: Feeds) -> None:
        world.tell(gift(is_anonymous=False), refunded(GIFT, "20.00", original_amount=Decimal("25.00")))
        assert world.texts()[0] == "John gave 25.00 USD to Wells"
        world.tell(refunded(GIFT, "5.00", original_amount=Decimal("25.00")))
        assert world.texts() == ["Mary started Wells"]

    def test_but_not_a_gift_of_which_two_producers_tell_the_same_refund(self, world: Feeds) -> None:
        told: dict[str, Any] = {"original_amount": Decimal("25.00"), "refund_transaction_id": "re_1"}
        world.tell(gift(is_anonymous=False), refunded(GIFT, "15.00", **told))
        world.tell(refunded(GIFT, "15.00", **told, campaign_id=WELLS))
        assert world.texts()[0] == "John gave 25.00 USD to Wells"

    def test_a_deleted_update(self, world: Feeds) -> None:
        ids = {"update_id": UUID(int=41), "fundraiser_id": WELLS, "author_id": MARY}
        world.tell(ProjectUpdateCreated(**ids, title="Water!", body="…", visibility="public"))
        world.tell(ProjectUpdateDeleted(**ids))
        assert world.texts() == ["Mary started Wells"]

    def test_those_that_i_follow_no_longer(self, world: Feeds) -> None:
        world.tell(follow_charity(), UserUnfollowedUser(follower_id=ME, unfollowed_user_id=JOHN))
        assert world.texts() == ["Mary started Wells"]
        world.tell(UserUnfollowedCampaign(user_id=ME, campaign_id=WELLS, follow_type="user"))
        assert world.texts() == []


class TestWhatIsNotForEverybody:
    def test_a_draft_is_shown_once_it_is_active(self, world: Feeds) -> None:
        world.tell(campaign(ROOFS, user_id=JOHN, title="Roofs", status="draft"))
        assert world.texts() == ["Mary started Wells"]
        world.tell(CampaignStatusChanged(campaign_id=ROOFS, previous_status="draft", new_status="active"))
        assert world.texts() == ["John started Roofs", "Mary started Wells"]

    def test_a_private_campaign_is_not_shown_and_tells_no_name(self, world: Feeds) -> None:
        world.tell(campaign(ROOFS, user_id=JOHN, title="Secret roofs", visibility="private"))
        world.tell(gift(ROOFS, is_anonymous=False))
        assert world.texts() == ["Mary started Wells"]
        with world.engine.begin() as db:
            assert not any("Secret" in str(row) for row in db.exec_driver_sql("SELECT * FROM entities"))

    @pytest.mark.parametrize("hide", [suspended, private])
    def test_who_is_suspended_or_private_is_not_shown(self, world: Feeds, hide: Any) -> None:
        world.tell(follow_charity(), hide(JOHN))
        assert world.texts() == ["Mary started Wells"]

    def test_who_comes_back_is_shown_again(self, world: Feeds) -> None:
        world.tell(follow_charity(), suspended(JOHN), AdminUserUnsuspended(user_id=JOHN, unsuspended_by=MARY))
        assert world.texts()[0] == "John followed an organization"

    def test_an_update_for_donors_only(self, world: Feeds) -> None:
        world.tell(
            ProjectUpdateCreated(
                update_id=UUID(int=41), fundraiser_id=WELLS, author_id=MARY, title="Psst", body="…",
                visibility="donors_only",
            )
        )  # fmt: skip
        assert world.texts() == ["Mary started Wells"]

    def test_an_operators_edit_is_no_news_and_names_no_operator(self, world: Feeds) -> None:
        edit = {"campaign_id": WELLS, "user_id": JOHN, "changes": {"title": "Wells."}}
        world.tell(CampaignUpdated(**edit, previous_values={"reason": "spelling", "ownerId": str(MARY)}))
        assert world.texts() == ["Mary started Wells."]


class TestPages:
    @staticmethod
    def walk(world: Feeds, limit: int) -> Iterator[Page]:
        mark: Mark | None = None
        while True:
            page = world.home(before=mark, limit=limit)
            yield page
            if page.next is None:
                return
            mark = Mark.parse(str(page.next))

    def test_pages_have_no_gaps_and_no_repeats_while_new_activities_arrive(self, world: Feeds) -> None:
        random = Random(1)
        for n in range(60):
            world.tell(
                completed(random.choice([WELLS, ROOFS]), donor_id=JOHN, amount=Decimal(n + 1), is_anonymous=False)
            )
        world.tell(campaign(ROOFS, user_id=MARY, title="Roofs", status="draft"))  # half of it is hidden
        before = world.home(limit=100).lines
        seen: list[Line] = []
        for page in self.walk(world, 7):
            seen += page.lines
            world.tell(completed(WELLS, donor_id=JOHN, amount=Decimal(999), is_anonymous=False))
        assert seen == list(before)
        assert 20 < len(seen) < 60
        assert len(set(seen)) == len(seen)

    def test_much_that_is_hidden_makes_short_pages_and_no_end(self, world: Feeds) -> None:
        with world.engine.begin() as db:
            db.exec_driver_sql(
                """INSERT INTO activities (position, occurred_at, type, actor_kind, actor_id, target_kind, target_id)
                   SELECT n, '2027-01-01'::timestamptz + n * interval '1 s', 'campaign_updated', 'user', %(john)s,
                          'campaign', %(roofs)s FROM generate_series(1000, 9999) n""",
                {"john": JOHN, "roofs": ROOFS},
            )
            db.exec_driver_sql(
                """INSERT INTO timeline_entries
                   SELECT 'user', actor_id, occurred_at, position FROM activities WHERE position >= 1000"""
            )
        pages = list(self.walk(world, 5))
        assert len(pages) > 1
        assert [line.text for page in pages for line in page.lines] == ["Mary started Wells"]

    @pytest.mark.parametrize(
        "text", ["", "x", "2026-01-01~1", "2026-01-01T00:00:00+00:00~x", "2026-01-01T00:00:00+00:00~-1"]
    )
    def test_a_mark_that_is_none_is_refused(self, text: str) -> None:
        with pytest.raises(WrongUse, match="no mark of a page"):
            Mark.parse(text)

    @pytest.mark.parametrize("limit", [0, 101])
    def test_a_page_is_bounded(self, world: Feeds, limit: int) -> None:
        with pytest.raises(WrongUse, match="limit: must be from 1 to 100"):
            world.home(limit=limit)
