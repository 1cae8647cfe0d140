"""Lists the tables that follow from the events alone, and the columns and tables that do not, with the reason.

A processor whose tables are not here is compared by its traces only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import BigInteger, Integer, SmallInteger, Table

from fundlyhub.processors.projections.campaign_stats import tables as stats
from fundlyhub.processors.projections.search_index import tables as search
from fundlyhub.processors.writes.activity_feed import tables as feed
from fundlyhub.processors.writes.recipients import tables as recipients
from fundlyhub.processors.writes.references import tables as references
from fundlyhub.processors.writes.subscriptions import tables as subscriptions
from fundlyhub.settings import Branch


class View(NamedTuple):
    """A view, and its DDL."""

    name: str
    ddl: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A table or view, or the rows of it that one processor keeps.

    ``expressions`` stand for columns that follow from the events only in part; ``{schema}`` is where they are read.
    ``sampled`` tells the rows of a sample of campaigns. ``numbers`` may be shown: they hold no personal text.
    """

    name: str
    processors: tuple[str, ...]
    key: tuple[str, ...]
    columns: tuple[str, ...]
    numbers: frozenset[str] = frozenset()
    where: str = "true"
    expressions: Mapping[str, str] = field(default_factory=dict)
    others_add: bool = False
    """Whether rows of which no event tells may be there."""
    sampled: str | None = None
    view: str | None = None
    """Its DDL, when it is a view."""
    told_by: View | None = None
    """Where its rows are read, when the table lacks some of what is done."""

    @property
    def source(self) -> str:
        """What is read."""
        return self.told_by.name if self.told_by else self.name


def _table(table: Table, processor: str, *, ignored: Mapping[str, str] | None = None, **more: object) -> Kept:
    """A table with all its columns but those that are ignored for a reason."""
    key = tuple(column.name for column in table.primary_key)
    columns = tuple(c.name for c in table.columns if c.name not in key and c.name not in (ignored or {}))
    whole = (BigInteger, Integer, SmallInteger)
    numbers = frozenset(column.name for column in table.columns if isinstance(column.type, whole))
    return Kept(table.name, (processor,), key, columns, **{"numbers": numbers, **more})  # type: ignore[arg-type]


def _told(field: str) -> str:
    """A contact's column as far as events tell it: where none has, it is the API service's."""
    return f"""CASE WHEN deleted OR EXISTS (
        SELECT FROM {{schema}}.entity_fields AS told
        WHERE told.kind = 'contact' AND told.id = user_id AND told.field = '{field}'
    ) THEN {field} END"""


_TOTALS = frozenset({
    "total_raised", "donation_count", "average_donation", "unique_donors", "largest_donation", "refund_count",
    "total_refunded",
})  # fmt: skip
_RECIPIENTS = "'contact', 'payout', 'bank_account'"
"""Kinds of entities whose fields are not the references'."""
_DONATIONS = "donation_id = ANY (%(donations)s::uuid[])"
_CAMPAIGNS = "campaign_id = ANY (%(campaigns)s::uuid[])"

KEPT: Mapping[Branch, tuple[Kept, ...]] = {
    "app": (
        _table(subscriptions.follows, "subscription_write"),
        _table(subscriptions.follow_counts, "subscription_write"),
        Kept(
            "subscriptions", ("subscription_write",), ("follower_id", "following_type", "following_id"),
            ("created_at",), view=subscriptions.SUBSCRIPTIONS,
        ),
        _table(references.entities, "reference_write"),
        _table(references.entity_fields, "reference_write", where=f"kind NOT IN ({_RECIPIENTS})"),
        _table(references.entity_fields, "recipient_write", where=f"kind IN ({_RECIPIENTS})"),
        _table(recipients.contacts, "recipient_write",
            ignored=dict.fromkeys(("phone", "locale", "time_zone", "quiet_from", "quiet_until"), "the API's alone"),
            expressions={"name": _told("name"), "email": _told("email")}, others_add=True,
        ),
        _table(recipients.gift_donors, "recipient_write"),
        _table(recipients.gift_refunds, "recipient_write"),
        _table(recipients.payout_requests, "recipient_write"),
        _table(recipients.sign_ins, "recipient_write"),
        _table(feed.feed_follows, "activity_feed"),
        _table(feed.feed_gifts, "activity_feed"),
        _table(feed.feed_refunds, "activity_feed"),
        _table(feed.activities, "activity_feed"),
        _table(feed.timeline_entries, "activity_feed"),
        Kept(
            "user_activities", ("activity_feed", "reference_write"), ("position",),
            ("activity_type", "actor_type", "actor_id", "target_type", "target_id", "detail_type", "detail_id",
             "amount", "currency", "created_at"),
            view=feed.USER_ACTIVITIES,
        ),
    ),
    "analytics": (
        _table(stats.donation_facts, "campaign_stats", sampled=f"({_DONATIONS} OR {_CAMPAIGNS})"),
        _table(stats.donation_refunds, "campaign_stats", sampled=_DONATIONS),
        _table(stats.donation_anomalies, "campaign_stats", sampled=_DONATIONS),
        _table(stats.campaign_donors, "campaign_stats", sampled=_CAMPAIGNS,
            ignored={"donation_count": "is of use to workers of an earlier release alone"},
        ),
        _table(stats.campaign_stats_projection, "campaign_stats", sampled=_CAMPAIGNS, numbers=_TOTALS,
            told_by=View("campaign_stats_now", stats.CAMPAIGN_STATS_NOW),
        ),
        _table(search.entity_fields, "search_index"),
        _table(search.search_follows, "search_index"),
        _table(search.search_gifts, "search_index"),
        _table(search.search_documents, "search_index",
            ignored={
                "version": "counts the changes, whose number depends on the order",
                "sent_version": "what the outside search engine has",
                "refused": "what the outside search engine would not have",
            },
        ),
        _table(search.campaign_search_projection, "search_index"),
        _table(search.user_search_projection, "search_index"),
        _table(search.organization_search_projection, "search_index"),
    ),
}  # fmt: skip
"""What is made anew and compared, per database."""

NOT_KEPT: Mapping[str, str] = {
    "processed_events": "the claims: compared with the log, event by event",
    "dropped_claims": "what is known of claims that were dropped",
    "notifications": "the ledger: compared with the claims, event by event",
    "resends": "which messages people have sent again",
    "refund_tellings": "what messages tell of refunds, which follows the order in which these are planned",
    "broadcasts": "how far the messages to many are: compared with the claims and the ledger",
    "digests": "what the hourly limit has held back until it is told: looked at beside the ledger",
    "digest_members": "which messages each digest tells of",
    "devices": "the API's, and marked by push providers",
    "preferences": "the API's, and the unsubscribe page's",
    "suppressions": "what mail providers and operators tell",
    "delivery_reports": "what providers told, until it is taken up",
    "suppression_causes": "where it was reported, and what exactly",
    "search_indices": "what the outside search engine has",
    "campaign_stats_waiting": "differences that are read with the statistics",
    "campaign_stats_added": "how far these have been added",
}
"""Tables that do not follow from the events, and whose they are."""


def kept_by(branch: Branch, processors: frozenset[str]) -> list[Kept]:
    """What can be compared when these processors' events are replayed."""
    return [kept for kept in KEPT.get(branch, ()) if processors.issuperset(kept.processors)]
