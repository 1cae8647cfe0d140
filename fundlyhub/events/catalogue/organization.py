"""Events of organizations: created, verified or rejected, edited, deleted."""

from __future__ import annotations

from typing import Annotated, Literal

from fundlyhub.events.payload import UUID, Changes, Kept, Line, Link, ListOf, MomentMs, Payload, Text, TextMap
from fundlyhub.events.personal import ORGANIZATION


class OrganizationCreated(Payload, type="organization.created", aggregate=("organization", "organization_id")):
    """An organization has been created."""

    organization_id: UUID
    legal_name: Annotated[Line, ORGANIZATION]
    created_by: UUID
    verification_status: Literal["pending", "verified", "rejected"]


class OrganizationVerified(Payload, type="organization.verified", aggregate=("organization", "organization_id")):
    """An operator has verified an organization."""

    organization_id: UUID
    verified_by: UUID
    verified_at: MomentMs


class OrganizationRejected(Payload, type="organization.rejected", aggregate=("organization", "organization_id")):
    """An operator has rejected the verification of an organization."""

    organization_id: UUID
    rejected_by: UUID
    reason: Annotated[Text, ORGANIZATION]


class OrganizationChanges(Changes):
    """Columns of an organization that an edit may change: not its verification nor its payment accounts."""

    legal_name: Annotated[Kept[Line], ORGANIZATION] = None
    dba_name: Annotated[Line | None, ORGANIZATION] = None
    country: Annotated[Line | None, ORGANIZATION] = None
    ein: Annotated[Line | None, ORGANIZATION] = None
    address: Annotated[Text | TextMap | None, ORGANIZATION] = None
    website: Annotated[Link | None, ORGANIZATION] = None
    categories: Annotated[ListOf[Line] | None, ORGANIZATION] = None


class OrganizationUpdated(Payload, type="organization.updated", aggregate=("organization", "organization_id")):
    """An organization has been edited."""

    organization_id: UUID
    updated_by: UUID
    changes: OrganizationChanges


class OrganizationDeleted(Payload, type="organization.deleted", aggregate=("organization", "organization_id")):
    """An organization has been deleted; the platform keeps its row and marks it."""

    organization_id: UUID
    deleted_by: UUID
    reason: Annotated[Text | None, ORGANIZATION] = None
