"""What can be found, what not, how it is ranked, and that no input does harm."""

from __future__ import annotations

from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine

from fundlyhub import (
    OrganizationCreated,
    OrganizationVerified,
    Payload,
    UserFollowedCampaign,
    UserFollowedOrganization,
    UserRegistered,
    UserUnfollowedCampaign,
)
from fundlyhub.errors import WrongUse
from fundlyhub.events.catalogue.admin import (
    AdminCampaignApproved,
    AdminCampaignPaused,
    AdminUserDeleted,
    AdminUserSuspended,
    AdminUserUnsuspended,
)
from fundlyhub.events.catalogue.campaign import CampaignDeleted, CampaignStatusChanged, CampaignUpdated
from fundlyhub.events.catalogue.organization import OrganizationDeleted, OrganizationRejected, OrganizationUpdated
from fundlyhub.events.catalogue.user import UserProfileUpdated
from fundlyhub.processors.projections.search_index import SearchIndexProcessor
from fundlyhub.processors.projections.search_index.postgres import search
from fundlyhub.processors.projections.search_index.query import Filters, Results, Search
from tests.processors.convergence import START
from tests.processors.hostile import HOSTILE
from tests.processors.world import World
from tests.support.make import campaign, completed

WELLS, ROOFS, BOOKS = (UUID(int=n) for n in (11, 12, 13))
ANN, STAFF = UUID(int=1), UUID(int=9)
CHARITY = UUID(int=21)
WATER, HOUSES = UUID(int=31), UUID(int=32)


def edit(**changes: Any) -> CampaignUpdated:
    return CampaignUpdated.model_validate({"campaignId": WELLS, "userId": ANN, "changes": changes})


def moved(status: str) -> CampaignStatusChanged:
    return CampaignStatusChanged.model_validate({"campaignId": WELLS, "previousStatus": "ended", "newStatus": status})


def profile(**changes: Any) -> UserProfileUpdated:
    return UserProfileUpdated.model_validate({"userId": ANN, "changes": changes})


SUSPENDED = AdminUserSuspended(user_id=ANN, suspended_by=STAFF, reason="r", duration=1, suspended_until=START)
REJECTED = OrganizationRejected(organization_id=CHARITY, rejected_by=STAFF, reason="r")
VERIFIED = OrganizationVerified(organization_id=CHARITY, verified_by=STAFF, verified_at=START)


class Index(World):
    """A world that is searched."""

    def find(self, query: str, kind: str = "campaign", **options: Any) -> Results:
        """What is found."""
        with self.engine.begin() as db:
            return search(db, Search(kind, query, **options))

    def ids(self, query: str, kind: str = "campaign", **options: Any) -> list[UUID]:
        """Its ids, the best first."""
        return [hit.id for hit in self.find(query, kind, **options).hits]


@pytest.fixture
def index(analytics: Engine) -> Index:
    """Three campaigns, a user and an organization."""
    index = Index(analytics, [SearchIndexProcessor])
    index.tell(
        campaign(
            WELLS, title="Clean Wells for Tamalé", summary="Water for five villages", location="Ghana",
            beneficiary_name="Awa Mensah", category_id=WATER,
            story="<p>We are <b>digg</b>ing.</p><p>Schools profit too.</p><script>stolen()</script>",
        ),
        campaign(ROOFS, title="Roofs", story="After the storm the wells were full of tiles.", category_id=HOUSES),
        campaign(BOOKS, title="Books for schools", story="Reading is water for the mind.", status="ended"),
        UserRegistered(user_id=ANN, email="ann@example.org", name="Ann Doe", registration_method="email"),
        UserProfileUpdated(user_id=ANN, changes={"bio": "Plumber from Łódź", "location": "Poland"}),
        OrganizationCreated(
            organization_id=CHARITY, legal_name="Water Fund Inc.", created_by=ANN, verification_status="pending"
        ),
        OrganizationUpdated(
            organization_id=CHARITY, updated_by=ANN, changes={"categories": ["Health", "Water"], "country": "Ghana"}
        ),
    )  # fmt: skip
    return index


class TestFinding:
    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("wells", [WELLS, ROOFS]),
            ("WELL", [WELLS, ROOFS]),
            ("tamale", [WELLS]),
            ("Tamalé", [WELLS]),
            ("tam", [WELLS]),
            ("clean wel", [WELLS]),
            ("digging", [WELLS]),
            ("dig", [WELLS]),
            ("mensah", [WELLS]),
            ("ghana", [WELLS]),
            ("village", [WELLS]),
            ("the wells of Ghana", [WELLS]),
            ("schools", [BOOKS, WELLS]),
            ("profit schools", [WELLS]),
            ("cleen", [WELLS]),
            ("clena wells", [WELLS]),
            ("roofss", [ROOFS]),
            ("stolen", []),
            ("zebra", []),
            ("", [ROOFS, WELLS, BOOKS]),
        ],
    )  # fmt: skip
    def test_by_forms_beginnings_accents_and_with_typos(self, index: Index, query: str, found: list[UUID]) -> None:
        if query:
            assert index.ids(query) == found
        else:
            assert set(index.ids(query)) == set(found)

    @pytest.mark.parametrize(
        ("query", "kind"),
        [("ann", "user"), ("doe", "user"), ("plumber", "user"), ("lodz", "user"), ("poland", "user")]
        + [(query, "organization") for query in ("water fund", "health", "ghana", "watter")],
    )  # fmt: skip
    def test_people_and_organizations(self, index: Index, query: str, kind: str) -> None:
        assert index.ids(query, kind) == [ANN if kind == "user" else CHARITY]

    def test_matches_are_marked_and_all_else_is_escaped(self, index: Index) -> None:
        index.tell(campaign(uuid4(), title="R&D <i>zebra</i> \ue000x\ue001", story="A &lt;b&gt;zebra&lt;/b&gt; runs"))
        (hit,) = index.find("zebra").hits
        assert hit.title_html == "R&amp;D <mark>zebra</mark> x"
        assert hit.snippet_html.split() == ["<mark>zebra</mark>", "runs"]

    def test_no_address_is_in_it(self, index: Index) -> None:
        index.tell(
            UserRegistered(user_id=uuid4(), email="bo@example.org", name="bo@example.org", registration_method="email"),
            UserProfileUpdated(user_id=ANN, changes={"bio": "Write to ann@example.org", "email": "new@example.org"}),
        )
        assert index.ids("example", "user") == []
        assert index.ids("bo", "user") == []
        with index.engine.begin() as db:
            for table in ("user_search_projection", "entity_fields", "search_documents"):
                rows = db.exec_driver_sql(f"SELECT stored::text FROM {table} AS stored").scalars()
                assert table == "entity_fields" or not any("example.org" in row for row in rows)
            fields = db.exec_driver_sql("SELECT DISTINCT field FROM entity_fields").scalars()
            assert "email" not in set(fields)


class TestWhatMayNotBeFound:
    CASES = (
        ("campaign", "wells", WELLS, edit(visibility="private"), edit(visibility="public")),
        ("campaign", "wells", WELLS, moved("draft"), AdminCampaignApproved(campaign_id=WELLS, approved_by=STAFF)),
        ("campaign", "wells", WELLS, AdminCampaignPaused(campaign_id=WELLS, paused_by=STAFF), moved("active")),
        ("campaign", "wells", WELLS, edit(is_discoverable=False), edit(is_discoverable=True)),
        ("campaign", "wells", WELLS, CampaignDeleted(campaign_id=WELLS, user_id=ANN), None),
        ("user", "ann", ANN, SUSPENDED, AdminUserUnsuspended(user_id=ANN, unsuspended_by=STAFF)),
        ("user", "ann", ANN, profile(profile_visibility="private"), profile(profile_visibility="public")),
        ("user", "ann", ANN, AdminUserDeleted(user_id=ANN, deleted_by=STAFF), None),
        ("organization", "fund", CHARITY, REJECTED, VERIFIED),
        ("organization", "fund", CHARITY, OrganizationDeleted(organization_id=CHARITY, deleted_by=STAFF), None),
    )  # fmt: skip

    @pytest.mark.parametrize(("kind", "query", "one", "hide", "show"), CASES, ids=lambda v: type(v).__name__)
    def test_it_goes_and_comes_back(
        self, index: Index, kind: str, query: str, one: UUID, hide: Payload, show: Payload | None
    ) -> None:
        assert one in index.ids(query, kind)
        before = self.rows(index, kind)
        index.tell(hide)
        assert one not in index.ids(query, kind)
        assert not any(str(one) in row for row in self.rows(index, kind))
        if show:
            index.tell(show)
            assert one in index.ids(query, kind)
            assert len(self.rows(index, kind)) == len(before)

    @staticmethod
    def rows(index: Index, kind: str) -> list[str]:
        with index.engine.begin() as db:
            return list(db.exec_driver_sql(f"SELECT stored::text FROM {kind}_search_projection AS stored").scalars())

    @pytest.mark.parametrize("fields", [{"status": "pending"}, {"visibility": "unlisted"}, {"status": "cancelled"}])
    def test_a_campaign_that_is_not_public_was_never_there(self, index: Index, fields: dict[str, str]) -> None:
        index.tell(campaign(uuid4(), title="Zebra", **fields))
        assert index.ids("zebra") == []


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


@pytest.mark.parametrize("kind", ["campaign", "user", "organization"])
def test_no_input_is_an_error_or_gets_through(index: Index, kind: str) -> None:
    for text in HOSTILE:
        found = index.find(text, kind, filters=Filters())
        index.find("wells", kind, filters=Filters(categories=[text], statuses=[text, "active"]))
        for hit in found.hits:
            bare = (hit.title_html + hit.snippet_html).replace("<mark>", "").replace("</mark>", "")
            assert "<" not in bare
            assert ">" not in bare
            assert "\ue000" not in bare


def test_a_name_like_markup_comes_out_escaped(index: Index) -> None:
    index.tell(UserProfileUpdated(user_id=ANN, changes={"name": "a &lt;script&gt;x()&lt;/script&gt; zebra"}))
    (hit,) = index.find("zebra", "user").hits
    assert hit.title_html == "a &lt;script&gt;x()&lt;/script&gt; <mark>zebra</mark>"


def test_followers_make_organizations_popular(index: Index) -> None:
    other = uuid4()
    index.tell(
        OrganizationCreated(
            organization_id=other, legal_name="Water Fund Inc.", created_by=ANN, verification_status="pending"
        ),
        *(UserFollowedOrganization(follower_id=uuid4(), organization_id=other) for _ in range(8)),
    )
    assert index.ids("fund", "organization")[0] == other
