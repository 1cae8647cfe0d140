"""Who and what may be shown to everybody, decided from what is known. Pure; the feed and the search ask here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PUBLIC_STATUSES = frozenset({"active", "ended", "closed", "completed"})
"""Statuses of a campaign whose page everybody may see; a paused one is taken from view until it goes on."""

DECIDING: Mapping[str, frozenset[str]] = {
    "user": frozenset({"suspended", "profile_visibility", "deleted"}),
    "campaign": frozenset({"status", "visibility", "deleted"}),
    "organization": frozenset({"verification_status", "deleted"}),
    "project_update": frozenset({"visibility", "deleted"}),
}
"""The fields that decide, per kind."""


def shown(kind: str, fields: Mapping[str, Any]) -> bool:
    """Whether everybody may see it.

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
