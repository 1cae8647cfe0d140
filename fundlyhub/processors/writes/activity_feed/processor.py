"""The processor of the activity feed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection

from fundlyhub.events import Event
from fundlyhub.events.catalogue.campaign import CampaignCreated, CampaignGoalReached, CampaignUpdated
from fundlyhub.events.catalogue.donation import DonationCompleted, DonationInitiated, DonationRefunded
from fundlyhub.events.catalogue.organization import OrganizationVerified
from fundlyhub.events.catalogue.project import ProjectUpdateCreated
from fundlyhub.processing import AggregateRows, WriteProcessor
from fundlyhub.processors.shared.event_ids import names_event
from fundlyhub.processors.shared.follow_state import FOLLOW_PAYLOADS, LastWords, last_words
from fundlyhub.processors.writes.activity_feed import gifts, store
from fundlyhub.processors.writes.activity_feed.activities import Activity, followed, plain_activities

_TIMELINE = "kind IN ('user', 'campaign', 'organization') AND id = %(id)s"
_last_words = LastWords("feed_follows")


class ActivityFeedProcessor(WriteProcessor):
    """Timelines of follows, donations, new campaigns and updates; an anonymous donor is never named.

    Converges without the claims too: any order of the same events, with any duplication and in any batches,
    ends in the same rows of all its tables.
    """

    handles = (
        *FOLLOW_PAYLOADS,
        CampaignCreated,
        CampaignUpdated,
        CampaignGoalReached,
        DonationInitiated,
        DonationCompleted,
        DonationRefunded,
        ProjectUpdateCreated,
        OrganizationVerified,
    )
    tables = (
        names_event("feed_follows"),
        names_event("feed_gifts"),
        "feed_refunds",
        names_event("activities"),
        "timeline_entries",
    )
    aggregate_rows = AggregateRows(
        {
            "feed_follows": "follower_id = %(id)s",
            "feed_gifts": "donation_id = ANY (%(linked)s)",
            "feed_refunds": "donation_id = ANY (%(linked)s)",
            "activities": f"position IN (SELECT position FROM {{schema}}.timeline_entries WHERE {_TIMELINE})",  # noqa: S608
            "timeline_entries": _TIMELINE,
        },
        linked_by="donationId",
    )

    def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
        """Update the facts under their locks, then the activities that follow from them."""
        changes = list(_changes(events, db))
        store.remove(db, [before for before, after in changes if before and before != after])
        store.add(db, [after for before, after in changes if after and before != after])


def _changes(events: Sequence[Event], db: Connection) -> Iterator[tuple[Activity | None, Activity | None]]:
    """Each changed activity, before and after."""
    for change in _last_words.apply(db, last_words(events)):
        yield followed(change)
    for before, after in gifts.apply(db, gifts.gifts(events)):
        yield before.activity(), after.activity()
    for event in events:
        for activity in plain_activities(event):
            yield None, activity
