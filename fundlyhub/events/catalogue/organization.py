"""Events of organizations: created, verified or rejected, edited, deleted."""

from __future__ import annotations

from typing import Literal

from fundlyhub.events.payload import (
    UUID,
    Changes,
    Kept,
    Line,
    Link,
    ListOf,
    MomentMs,
    Payload,
    Text,
    TextMap,
)


class OrganizationCreated(Payload, type="organization.created", aggregate=("organization", "organization_id")):
    """An organization has been created."""

    organization_id: UUID
    legal_name: Line
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
    reason: Text


class OrganizationChanges(Changes):
    """Columns of an organization that an edit may change: not its verification nor its payment accounts."""

    legal_name: Kept[Line] = None
    dba_name: Line | None = None
    country: Line | None = None
    ein: Line | None = None
    address: Text | TextMap | None = None
    website: Link | None = None
    categories: ListOf[Line] | None = None


class OrganizationUpdated(Payload, type="organization.updated", aggregate=("organization", "organization_id")):
    """An organization has been edited."""

    organization_id: UUID
    updated_by: UUID
    changes: OrganizationChanges


class OrganizationDeleted(Payload, type="organization.deleted", aggregate=("organization", "organization_id")):
    """An organization has been deleted; the platform keeps its row and marks it."""

    organization_id: UUID
    deleted_by: UUID
    reason: Text | None = None
