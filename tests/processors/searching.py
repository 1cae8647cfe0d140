"""A world that is searched."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Engine

from fundlyhub import (
    OrganizationCreated,
    OrganizationVerified,
    UserRegistered,
)
from fundlyhub.events.catalogue.admin import (
    AdminUserSuspended,
)
from fundlyhub.events.catalogue.campaign import CampaignStatusChanged, CampaignUpdated
from fundlyhub.events.catalogue.organization import OrganizationRejected, OrganizationUpdated
from fundlyhub.events.catalogue.user import UserProfileUpdated
from fundlyhub.processors.projections.search_index import SearchIndexProcessor
from fundlyhub.processors.projections.search_index.postgres import search
from fundlyhub.processors.projections.search_index.query import Results, Search
from fundlyhub.testing.convergence import START
from tests.processors.world import World
from tests.support.make import campaign

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


def made(analytics: Engine) -> Index:
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
