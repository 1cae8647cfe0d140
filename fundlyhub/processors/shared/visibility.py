"""The visibility of entities: whether an entity is public, from its known fields. Pure; for the feed and the search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PUBLIC_STATUSES = frozenset({"active", "ended", "closed", "completed"})
"""Statuses of a public campaign; a paused one is hidden until it goes on."""

DECIDING: Mapping[str, frozenset[str]] = {
    "user": frozenset({"suspended", "profile_visibility", "deleted"}),
    "campaign": frozenset({"status", "visibility", "deleted"}),
    "organization": frozenset({"verification_status", "deleted"}),
    "project_update": frozenset({"visibility", "deleted"}),
}
"""The fields that decide, per kind."""


def shown(kind: str, fields: Mapping[str, Any]) -> bool:
    """Whether an entity is public.

    People and organizations are public unless something says otherwise. Campaigns and their updates are
    private until it is known that they are not: their events may come in any order.
    """
    if fields.get("deleted"):
        return False
    match kind:
        case "user":
            return not fields.get("suspended") and fields.get("profile_visibility") != "private"
        case "campaign":
            return fields.get("visibility") == "public" and fields.get("status") in PUBLIC_STATUSES
        case "organization":
            return fields.get("verification_status") != "rejected"
        case _:
            return fields.get("visibility") == "public"
