"""What can be found, what not, and that no input does harm."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine

from fundlyhub import (
    Payload,
    UserRegistered,
)
from fundlyhub.events.catalogue.admin import (
    AdminCampaignApproved,
    AdminCampaignPaused,
    AdminUserDeleted,
    AdminUserUnsuspended,
)
from fundlyhub.events.catalogue.campaign import CampaignDeleted
from fundlyhub.events.catalogue.organization import OrganizationDeleted
from fundlyhub.events.catalogue.user import UserProfileUpdated
from fundlyhub.processors.projections.search_index.query import Filters
from tests.processors.hostile import HOSTILE
from tests.processors.searching import (
    ANN,
    BOOKS,
    CHARITY,
    REJECTED,
    ROOFS,
    STAFF,
    SUSPENDED,
    VERIFIED,
    WELLS,
    Index,
    edit,
    made,
    moved,
    profile,
)
from tests.support.make import campaign


@pytest.fixture
def index(analytics: Engine) -> Index:
    """Three campaigns, a user and an organization."""
    return made(analytics)


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
