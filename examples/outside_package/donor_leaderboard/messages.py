"""The message of this package: a donor is told of a badge."""

from __future__ import annotations

from donor_leaderboard.events import BadgeAwarded
from fundlyhub import Event
from fundlyhub.messages import Content, Lookup, Notice, Person, add_message


def says(payload: BadgeAwarded, event: Event, lookup: Lookup) -> Content:
    """The campaign and the badge; to the donor."""
    campaign = lookup.campaign(payload.campaign_id)
    facts = {"campaign": campaign.title if campaign else None, "campaign_url": campaign.url if campaign else None}
    return {**facts, "badge": payload.badge, "place": payload.place}, Person(payload.donor_id)


notice = Notice(
    "leaderboard_badge", BadgeAwarded, matter=("campaign_id", "donor_id", "badge"), recipient="donor",
    channels=("email", "push"), category="leaderboard", priority="low", transactional=False, limited=False,
    facts=("campaign", "campaign_url", "badge", "place"),
)  # fmt: skip
add_message(notice, says, texts="donor_leaderboard.locales", samples={"badge": "top donor", "place": 1})
