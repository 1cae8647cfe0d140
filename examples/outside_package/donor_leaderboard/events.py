"""The event type of this package: a donor has earned a badge."""

from __future__ import annotations

from typing import Any, Literal

from fundlyhub import Payload, upcasts
from fundlyhub.events.payload import UUID, Count

Badge = Literal["first donor", "top donor"]


class BadgeAwardedV1(Payload, type="leaderboard.badge_awarded", version="1.0.0", aggregate=("campaign", "campaign_id")):
    """A donor has earned a badge at a campaign; nobody said with which place."""

    campaign_id: UUID
    donor_id: UUID
    badge: Badge


class BadgeAwarded(Payload, type="leaderboard.badge_awarded", version="2.0.0", aggregate=("campaign", "campaign_id")):
    """A donor has earned a badge at a campaign."""

    campaign_id: UUID
    donor_id: UUID
    badge: Badge
    place: Count


@upcasts("leaderboard.badge_awarded", "1.0.0", "2.0.0")
def _first_place_where_nobody_said(payload: dict[str, Any]) -> dict[str, Any]:
    return {"place": 1, **payload}
