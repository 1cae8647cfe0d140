"""Events of operators: actions on users, campaigns, roles and permissions."""

from __future__ import annotations

from typing import Annotated

from fundlyhub.events.payload import UUID, Changes, Count, Flag, Kept, Line, ListOf, MomentIso, Payload, Text
from fundlyhub.events.personal import CODE, Personal


class AdminUserSuspended(Payload, type="admin.user.suspended", aggregate=("user", "user_id")):
    """An operator has suspended a user, for a number of days."""

    user_id: UUID
    suspended_by: UUID
    reason: Annotated[Text, Personal("text", "user_id")]
    duration: Count
    suspended_until: MomentIso


class AdminUserUnsuspended(Payload, type="admin.user.unsuspended", aggregate=("user", "user_id")):
    """An operator has lifted a user's suspension."""

    user_id: UUID
    unsuspended_by: UUID


class AdminUserDeleted(Payload, type="admin.user.deleted", aggregate=("user", "user_id")):
    """An operator has deleted a user."""

    user_id: UUID
    deleted_by: UUID
    reason: Annotated[Text | None, Personal("text", "user_id")] = None


class AdminUserRoleAssigned(Payload, type="admin.user.role_assigned", aggregate=("user", "user_id")):
    """A user has been given a role, everywhere or in one context."""

    user_id: UUID
    role_id: UUID
    role_name: Annotated[Line, CODE]
    assigned_by: UUID
    context_type: Annotated[Line | None, CODE] = None
    context_id: UUID | None = None


class AdminUserRoleRevoked(Payload, type="admin.user.role_revoked", aggregate=("user", "user_id")):
    """A role has been revoked from a user."""

    user_id: UUID
    role_id: UUID
    role_name: Annotated[Line, CODE]
    revoked_by: UUID


class AdminCampaignApproved(Payload, type="admin.campaign.approved", aggregate=("campaign", "campaign_id")):
    """An operator has approved a campaign, which is now active."""

    campaign_id: UUID
    approved_by: UUID


class AdminCampaignRejected(Payload, type="admin.campaign.rejected", aggregate=("campaign", "campaign_id")):
    """An operator has rejected a campaign."""

    campaign_id: UUID
    rejected_by: UUID
    reason: Annotated[Text, Personal("text", "campaign_id")]


class AdminCampaignPaused(Payload, type="admin.campaign.paused", aggregate=("campaign", "campaign_id")):
    """An operator has paused a campaign."""

    campaign_id: UUID
    paused_by: UUID
    reason: Annotated[Text | None, Personal("text", "campaign_id")] = None


class AdminCampaignClosed(Payload, type="admin.campaign.closed", aggregate=("campaign", "campaign_id")):
    """An operator has closed a campaign."""

    campaign_id: UUID
    closed_by: UUID
    reason: Annotated[Text | None, Personal("text", "campaign_id")] = None


class AdminRoleCreated(Payload, type="admin.role.created", aggregate=("role", "role_id")):
    """A role has been created."""

    role_id: UUID
    name: Annotated[Line, CODE]
    display_name: Annotated[Line, CODE]
    description: Annotated[Text | None, CODE] = None
    hierarchy_level: Count
    is_system_role: Flag
    created_by: UUID


class RoleChanges(Changes):
    """Columns of a role that an edit may change."""

    name: Annotated[Kept[Line], CODE] = None
    display_name: Annotated[Kept[Line], CODE] = None
    description: Annotated[Text | None, CODE] = None
    hierarchy_level: Kept[Count] = None


class AdminRoleUpdated(Payload, type="admin.role.updated", aggregate=("role", "role_id")):
    """A role has been edited."""

    role_id: UUID
    name: Annotated[Line, CODE]
    display_name: Annotated[Line | None, CODE] = None
    description: Annotated[Text | None, CODE] = None
    hierarchy_level: Count | None = None
    updated_by: UUID
    changes: RoleChanges


class AdminRoleDeleted(Payload, type="admin.role.deleted", aggregate=("role", "role_id")):
    """A role has been deleted."""

    role_id: UUID
    name: Annotated[Line, CODE]
    deleted_by: UUID
    reason: Annotated[Text | None, CODE] = None


class AdminRolePermissionsUpdated(Payload, type="admin.role.permissions_updated", aggregate=("role", "role_id")):
    """A role has gained or lost permissions; they are usually named by their ids."""

    role_id: UUID
    role_name: Annotated[Line, CODE]
    added_permissions: Annotated[ListOf[Line], CODE]
    removed_permissions: Annotated[ListOf[Line], CODE]
    updated_by: UUID


class AdminPermissionCreated(Payload, type="admin.permission.created", aggregate=("permission", "permission_id")):
    """A permission has been created."""

    permission_id: UUID
    name: Annotated[Line, CODE]
    display_name: Annotated[Line, CODE]
    description: Annotated[Text | None, CODE] = None
    category: Annotated[Line, CODE]
    created_by: UUID
