"""Rights that several roles have, and the tables that they are on."""

from __future__ import annotations

from collections.abc import Mapping

ALL = "SELECT, INSERT, UPDATE, DELETE"
READ = "SELECT"
ADD = "SELECT, INSERT"
_ENVELOPE = ("position, xid, id, type, version, aggregate_type, aggregate_id, correlation_id, causation_id, "
             "occurred_at, recorded_at")  # fmt: skip
ENVELOPE = f"SELECT ({_ENVELOPE})"
"""Of the log everything but payload and metadata."""
DO = "EXECUTE"
MAINTAIN = "MAINTAIN"
"""VACUUM, from PostgreSQL 17 on; it is not granted where there is none."""

Rights = Mapping[str, str]

KEEPING: Rights = {
    f"{schema}.{name}": right
    for schema in ("events", "app", "analytics")
    for name, right in {
        "alembic_version": READ, "processed_events": READ, "processed_events_default": READ, "dropped_claims": READ,
        "make_claims_partition": DO, "drop_claims_partition": DO,
    }.items()
}  # fmt: skip
_PUBLICATION = (
    "id, type, version, aggregate_type, aggregate_id, payload, metadata, correlation_id, causation_id, occurred_at"
)
PUBLISHING: Rights = {  # a view and functions of the owner's: a publisher reads no event, and passes by no check
    "events.alembic_version": READ,
    "events.publications": f"INSERT ({_PUBLICATION}), SELECT (position, id)",
    "events.append_events": DO,
    "events.publish_event": DO,
    # The view's conditions are evaluated with the publisher's rights, of which these tell nothing.
    "events.closer_look": READ,
    "events.is_plain": DO,
    "events.relay_sleep": READ,
}
NUMBERS: Rights = {
    f"{schema}.{name}": READ
    for schema in ("events", "app", "analytics")
    for name in ("alembic_version", "processed_events", "processed_events_default", "dropped_claims")
}
WORKER_APP = """
    activities broadcasts contacts delivery_reports devices digest_members digests entities entity_fields feed_follows
    feed_gifts feed_refunds follow_counts follows gift_donors gift_refunds notifications payout_requests preferences
    refund_tellings resends sign_ins suppression_causes suppressions timeline_entries
"""
WORKER_ANALYTICS = """
    campaign_donors campaign_search_projection campaign_stats_added campaign_stats_projection campaign_stats_waiting
    donation_anomalies donation_facts donation_refunds entity_fields event_lookup organization_search_projection
    search_documents search_follows search_gifts search_indices user_search_projection
"""
FEED = """
    activities entities feed_follows follow_counts follows subscriptions timeline_entries user_activities
"""
# Of these an erasure takes words, whole rows, or former versions of rows.
ERASED_APP = """
    contacts delivery_reports devices entities entity_fields gift_donors notifications preferences sign_ins
    suppression_causes
"""
ERASED_ANALYTICS = """
    campaign_search_projection entity_fields organization_search_projection search_documents user_search_projection
"""
RENDERED = """
    contacts entity_fields gift_donors gift_refunds payout_requests preferences refund_tellings sign_ins
"""
READ_MODELS: Rights = {
    "analytics.search_query": DO,
    **{f"app.{name}": READ for name in FEED.split()},
    **{
        f"analytics.{name}": READ
        for name in ("campaign_stats_now", "campaign_stats_projection", "campaign_search_projection",
                     "user_search_projection", "organization_search_projection")
    },
}  # fmt: skip
DEAD_LETTERS: Rights = {
    "events.dead_letters": "SELECT, INSERT, UPDATE",
    "events.dead_letter_audit": ADD,
    "events.attempts": ALL,
    "events.processor_pauses": ALL,
    "events.processor_pause_audit": ADD,
    "events.failure_bursts": ALL,
    "events.payment_decisions": READ,
    "events.corrections": READ,
    "events.archives": READ,
    "events.event_ids": READ,
}
