"""Activities, and the events that make one. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from fundlyhub.events import Event
from fundlyhub.events.catalogue.campaign import CampaignCreated, CampaignGoalReached, CampaignUpdated
from fundlyhub.events.catalogue.organization import OrganizationVerified
from fundlyhub.events.catalogue.project import ProjectUpdateCreated
from fundlyhub.processors.shared.follow_state import Change, Pair, Word
from fundlyhub.processors.shared.last_writer_fields import Entity

CONTENT = frozenset({
    "title", "summary", "story_html", "goal_amount", "cover_image", "images", "video_url", "beneficiary_name",
    "location", "end_date",
})  # fmt: skip
"""Columns of a campaign whose change is an activity; a change of status or tags is none."""


class Activity(NamedTuple):
    """One line of a timeline: at a time, someone did something with a target.

    ``position`` and ``event_id`` are those of its event; a row of an older release names none. ``actor`` is None for an
    anonymous donation, and where there is none. ``detail`` is a second thing that the line names, such as a campaign's
    update.
    """

    position: int
    event_id: UUID | None
    occurred_at: datetime
    type: str
    actor: Entity | None
    target: Entity
    detail: Entity | None = None
    amount: Decimal | None = None
    currency: str | None = None

    @property
    def timelines(self) -> frozenset[Entity]:
        """The timelines that it belongs to: the actor's, and that of the campaign that it happened to.

        A follow of a campaign is in the follower's timeline alone.
        """
        happened = self.target.kind == "campaign" and self.type != "followed_campaign"
        return frozenset({*([self.actor] if self.actor else []), *([self.target] if happened else [])})


def plain_activities(event: Event) -> Iterator[Activity]:
    """The activity of an event that nothing later takes back or alters."""
    assert event.position is not None
    at = (event.position, event.id, event.timestamp)
    match event.payload:
        case CampaignCreated() as made:
            yield Activity(*at, "campaign_created", Entity("user", made.user_id), Entity("campaign", made.campaign_id))
        case CampaignUpdated() as edit if edit.changes.model_fields_set & CONTENT and not _by_an_operator(edit):
            yield Activity(*at, "campaign_updated", Entity("user", edit.user_id), Entity("campaign", edit.campaign_id))
        case CampaignGoalReached() as goal:
            yield Activity(*at, "goal_reached", None, Entity("campaign", goal.campaign_id))
        case ProjectUpdateCreated() as update:
            yield Activity(
                *at, "update_posted", Entity("user", update.author_id), Entity("campaign", update.fundraiser_id),
                Entity("project_update", update.update_id),
            )  # fmt: skip
        case OrganizationVerified() as verified:
            organization = Entity("organization", verified.organization_id)
            yield Activity(*at, "organization_verified", organization, organization)


def _by_an_operator(edit: CampaignUpdated) -> bool:
    """An operator's edit names the owner among the previous values; it is no news, and names no operator."""
    owner = edit.previous_values.ownerId if edit.previous_values else None
    return owner is not None and owner != edit.user_id


def followed(change: Change) -> tuple[Activity | None, Activity | None]:
    """The activity that a pair had before a batch, and the one that it has after it."""
    return _followed(change.pair, change.before), _followed(change.pair, change.after)


def _followed(pair: Pair, word: Word | None) -> Activity | None:
    if word is None or not word.follows:
        return None
    follower, target = Entity("user", pair.follower_id), Entity(pair.kind, pair.followed_id)
    return Activity(word.position, word.event_id, word.occurred_at, f"followed_{pair.kind}", follower, target)
