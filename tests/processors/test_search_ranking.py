"""What is found: in which order, on which pages, and with which facets."""

from __future__ import annotations

from random import Random
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from fundlyhub import (
    OrganizationCreated,
    Payload,
    UserFollowedCampaign,
    UserFollowedOrganization,
    UserUnfollowedCampaign,
)
from fundlyhub.errors import WrongUse
from fundlyhub.processors.projections.search_index.query import Filters, Search
from tests.processors.searching import (
    ANN,
    HOUSES,
    ROOFS,
    WATER,
    WELLS,
    Index,
    made,
)
from tests.support.make import campaign, completed


@pytest.fixture
def index(analytics: Engine) -> Index:
    """Three campaigns, a user and an organization."""
    return made(analytics)


class TestRanking:
    def test_a_title_comes_before_a_story(self, index: Index) -> None:
        assert index.ids("wells") == [WELLS, ROOFS]

    @pytest.mark.parametrize("liked", [0, 1])
    def test_of_two_alike_the_more_popular_comes_first(self, index: Index, liked: int) -> None:
        alike = [uuid4(), uuid4()]
        index.tell(*(campaign(one, title="Zebra") for one in alike))
        index.tell(*(completed(alike[liked]) for _ in range(3)))
        index.tell(UserFollowedCampaign(user_id=ANN, campaign_id=alike[liked], follow_type="user"))
        assert index.ids("zebra")[0] == alike[liked]

    def test_of_two_alike_the_newer_comes_first(self, index: Index) -> None:
        old, new = uuid4(), uuid4()
        index.tell(campaign(new, title="Zebra"), campaign(old, title="Zebra"))
        with index.engine.begin() as db:
            db.exec_driver_sql(
                "UPDATE campaign_search_projection SET created_at = now() - interval '1 year' WHERE campaign_id = %s",
                (old,),
            )
            db.exec_driver_sql(
                "UPDATE campaign_search_projection SET created_at = now() WHERE campaign_id = %s", (new,)
            )
        assert index.ids("zebra") == [new, old]

    def test_popularity_counts_each_gift_and_each_follower_once(self, index: Index) -> None:
        gift = completed(WELLS)
        follow = UserFollowedCampaign(user_id=ANN, campaign_id=WELLS, follow_type="user")
        index.tell(gift, gift, gift, follow, follow, completed(WELLS))
        popularity = "SELECT popularity FROM search_documents WHERE kind = 'campaign' AND id = %s"
        with index.engine.begin() as db:
            assert db.exec_driver_sql(popularity, (WELLS,)).scalar_one() == 3
        index.tell(UserUnfollowedCampaign(user_id=ANN, campaign_id=WELLS, follow_type="user"))
        with index.engine.begin() as db:
            assert db.exec_driver_sql(popularity, (WELLS,)).scalar_one() == 2

    def test_a_gift_that_moves_no_level_writes_no_document(self, index: Index) -> None:
        version = "SELECT version FROM search_documents WHERE kind = 'campaign' AND id = %s"

        def after(*payloads: Payload) -> int:
            index.tell(*payloads)
            with index.engine.begin() as db:
                return int(db.exec_driver_sql(version, (WELLS,)).scalar_one())

        first = after()
        assert [after(completed(WELLS)) - first for _ in range(5)] == [1, 2, 2, 3, 3]  # 1, 2, 4 gifts


class TestFacetsAndPages:
    def test_a_facet_counts_what_would_be_found_without_its_filter(self, index: Index) -> None:
        everything = index.find("")
        assert (everything.total, everything.exact) == (3, True)
        assert everything.categories == {str(WATER): 1, str(HOUSES): 1}
        assert everything.statuses == {"active": 2, "ended": 1}
        some = index.find("", filters=Filters(categories=[str(WATER)]))
        assert [hit.id for hit in some.hits] == [WELLS]
        assert (some.total, some.statuses) == (1, {"active": 1})
        assert some.categories == everything.categories

    def test_filters_work_together(self, index: Index) -> None:
        assert index.ids("wells", filters=Filters(categories=[str(HOUSES)], statuses=["active"])) == [ROOFS]
        assert index.ids("wells", filters=Filters(statuses=["ended"])) == []
        assert index.find("water", "organization").categories == {"Health": 1, "Water": 1}

    def test_pages_have_no_gaps_and_no_repeats(self, index: Index) -> None:
        random = Random(2)
        index.tell(*(campaign(uuid4(), title=f"Zebra {random.randrange(9)}") for _ in range(25)))
        pages = [index.ids("zebra", page=page, size=7) for page in range(1, 6)]
        assert [len(page) for page in pages] == [7, 7, 7, 4, 0]
        assert len({one for page in pages for one in page}) == 25

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"kind": "x"}, "kind: must be one of campaign, user, organization"),
            ({"size": 0}, "size: must be from 1 to 100"),
            ({"page": 0}, "page: must be from 1 to 25 with 20 on a page"),
            ({"page": 26}, "page: must be from 1 to 25 with 20 on a page"),
            ({"filters": ["x"] * 51}, "categories: must be at most 50"),
        ],
    )
    def test_what_cannot_be_asked_is_said(self, options: dict[str, Any], said: str) -> None:
        with pytest.raises(WrongUse, match=said):
            options = {name: Filters(value) if name == "filters" else value for name, value in options.items()}
            Search(**{"kind": "campaign", "query": "x", **options})


def test_followers_make_organizations_popular(index: Index) -> None:
    other = uuid4()
    index.tell(
        OrganizationCreated(
            organization_id=other, legal_name="Water Fund Inc.", created_by=ANN, verification_status="pending"
        ),
        *(UserFollowedOrganization(follower_id=uuid4(), organization_id=other) for _ in range(8)),
    )
    assert index.ids("fund", "organization")[0] == other
