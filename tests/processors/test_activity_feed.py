"""What stands in the feeds, in which words, and what leaves them again."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection

from fundlyhub import (
    DonationInitiated,
    OrganizationCreated,
    OrganizationVerified,
    ProjectUpdateCreated,
    UserFollowedUser,
    UserUnfollowedCampaign,
    UserUnfollowedUser,
)
from fundlyhub.events.catalogue.admin import AdminUserDeleted, AdminUserUnsuspended
from fundlyhub.events.catalogue.campaign import (
    CampaignDeleted,
    CampaignGoalReached,
    CampaignStatusChanged,
    CampaignUpdated,
)
from fundlyhub.events.catalogue.project import ProjectUpdateDeleted, ProjectUpdateEdited
from fundlyhub.settings import Settings
from fundlyhub.testing.convergence import START
from tests.processors.feeds import (
    CHARITY,
    GIFT,
    JOHN,
    MARY,
    ME,
    ROOFS,
    WELLS,
    Feeds,
    follow_charity,
    gift,
    made,
    private,
    suspended,
    user,
)
from tests.support.make import campaign, completed, refunded


@pytest.fixture
def world(settings: Settings) -> Feeds:
    """I follow John and the campaign Wells, which Mary has started."""
    return made()


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
