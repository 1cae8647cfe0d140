"""The columns of our tables that say something about a person, and what an erasure does with them.

Every column that can hold a text, a document or an id is classified here; a test compares this with the migrated
databases. Numbers, times and flags are facts and need no mark. What the log's payloads hold is marked in their classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

EMPTIED = "emptied"
DELETED = "the row is deleted"
REDACTED = "personal fields are overwritten"
COMPUTED = "computed anew without the person's words"
UNNAMED = "replaced by a word that names nobody"


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of one table. ``personal`` gives for each column what it says, and what an erasure does with it.

    ``ids`` name people and stay, since numbers hang on them: once names and addresses are gone, they name nobody.
    ``plain`` columns are about no person.
    """

    personal: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    ids: str = ""
    plain: str = ""

    @property
    def names(self) -> set[str]:
        """All classified columns."""
        return {*self.personal, *self.ids.split(), *self.plain.split()}


_CLAIMS = {
    "alembic_version": Columns(plain="version_num"),
    "dropped_claims": Columns(plain="claims who account role"),
    "processed_events": Columns(plain="processor event_id"),
}
_REBUILDS = {
    "rebuild_findings": Columns(plain="event_id what"),
    "rebuild_ranges": Columns(),
    "rebuilds": Columns(
        plain="processor schema_name tables state who account role swapped_by swapped_account swapped_role "
        "ended_by ended_account ended_role"
    ),
}
_FIELDS = Columns({"value": ("name, address, text, place", EMPTIED)}, ids="id", plain="kind field")
_FOLLOWS = Columns(ids="follower_id followed_id", plain="kind event_id")
_REFUNDS = Columns(plain="donation_id refund_transaction_id")
_HASH_STAYS = "stays: a keyed hash, so that no message ever goes there again"
_JOURNAL = ("address, as a keyed hash", "stays: keyed hashes of the erased, to erase them again after a restoration")

APP: Mapping[str, Columns] = {
    **_CLAIMS,
    **_REBUILDS,
    "activities": Columns(
        ids="actor_id target_id", plain="event_id type actor_kind target_kind detail_kind detail_id currency"
    ),
    "broadcasts": Columns(ids="after", plain="matter channel template event_id skipped"),
    "contacts": Columns(
        {
            "name": ("name", EMPTIED),
            "email": ("address", EMPTIED),
            "phone": ("address", EMPTIED),
            "locale": ("place", "set to its default"),
            "time_zone": ("place", "set to its default"),
        },
        ids="user_id",
    ),
    "delivery_reports": Columns(
        {"words": ("address, text", DELETED), "discard_reason": ("text", DELETED)},
        plain="provider error discarded_by discarded_account discarded_role",
    ),
    "devices": Columns({"token": ("address", DELETED)}, ids="user_id", plain="id"),
    "digest_members": Columns(ids="user_id", plain="channel template matter digest_id campaign_id currency"),
    "digests": Columns(ids="user_id", plain="id channel template"),
    "entities": Columns({"name": ("name", EMPTIED)}, ids="id owner_id", plain="kind"),
    "entity_fields": _FIELDS,
    "erasures": Columns({"hashes": _JOURNAL}, plain="id"),
    "feed_follows": _FOLLOWS,
    "feed_gifts": Columns(ids="donor_id", plain="donation_id campaign_id currency event_id"),
    "feed_refunds": _REFUNDS,
    "follow_counts": Columns(ids="id", plain="kind"),
    "follows": _FOLLOWS,
    "gift_donors": Columns(
        {"email": ("address", EMPTIED), "name": ("name", EMPTIED)},
        ids="donor_id",
        plain="donation_id campaign_id currency transaction_id event_id",
    ),
    "gift_refunds": _REFUNDS,
    "notifications": Columns(
        {
            "recipient": ("address, as a keyed hash", UNNAMED),
            "ceiling_key": ("address, as a keyed hash", EMPTIED),
        },
        ids="user_id",
        plain="id event_id channel template state reason token provider provider_message_id matter",
    ),
    "payout_requests": Columns(ids="user_id", plain="request_id currency event_id"),
    "preferences": Columns({"category": ("text", DELETED)}, ids="user_id", plain="channel"),
    "refund_tellings": Columns(plain="donation_id event_id"),
    "resends": Columns(plain="token notification_id who account role reason state state_reason provider_message_id"),
    "sign_ins": Columns({"place": ("network, as a keyed hash", DELETED)}, ids="user_id", plain="event_id"),
    "suppression_causes": Columns(
        {"address_hash": ("address, as a keyed hash", _HASH_STAYS), "said": ("text", EMPTIED)},
        ids="user_id",
        plain="channel reason told_by notification_id device_id lifted_by account role lifted_account lifted_role",
    ),
    "suppressions": Columns({"address_hash": ("address, as a keyed hash", _HASH_STAYS)}, plain="channel reason"),
    "timeline_entries": Columns(ids="id", plain="kind"),
}
"""The App DB."""

ANALYTICS: Mapping[str, Columns] = {
    **_CLAIMS,
    **_REBUILDS,
    "campaign_donors": Columns(ids="donor_id", plain="campaign_id currency"),
    "campaign_search_projection": Columns(
        {"beneficiary_name": ("name", COMPUTED), "search_vector": ("name", COMPUTED)},
        plain="campaign_id title summary story_text location slug category_id status title_key title_vector",
    ),
    "campaign_stats_added": Columns(),
    "campaign_stats_projection": Columns(plain="campaign_id currency"),
    "campaign_stats_waiting": Columns(plain="campaign_id currency"),
    "donation_anomalies": Columns(plain="donation_id kind"),
    "donation_facts": Columns(ids="donor_id", plain="donation_id campaign_id currency event_id"),
    "donation_refunds": _REFUNDS,
    "entity_fields": _FIELDS,
    "erasures": Columns({"hashes": _JOURNAL}, plain="id"),
    "event_lookup": Columns(),
    "organization_search_projection": Columns(
        plain="organization_id legal_name dba_name categories country verification_status title_key title_vector"
        " search_vector"
    ),
    "search_documents": Columns(ids="id", plain="kind digest refused"),
    "search_follows": _FOLLOWS,
    "search_gifts": Columns(plain="campaign_id donation_id"),
    "search_indices": Columns(plain="kind name"),
    "user_search_projection": Columns(
        {
            "name": ("name", DELETED),
            "bio": ("text", DELETED),
            "location": ("place", DELETED),
            "title_key": ("name", DELETED),
            "title_vector": ("name", DELETED),
            "search_vector": ("name, text, place", DELETED),
        },
        ids="user_id",
    ),
}
"""The Analytics DB."""

EVENTS: Mapping[str, Columns] = {
    **_CLAIMS,
    "archives": Columns(plain="types file sha256 who account role restored_by restored_account restored_role"),
    "attempts": Columns(plain="processor error_class reason fingerprint"),
    "console_audit": Columns(plain="name who account role action details"),
    "console_links": Columns(plain="token name"),
    "console_sessions": Columns(plain="token name via"),
    "console_tokens": Columns(plain="name user_name level token"),
    "console_users": Columns(plain="name level password"),
    "corrections": Columns({"payload": ("as the log", REDACTED)}, plain="processor event_id version"),
    "dead_letter_audit": Columns(plain="who account role action details"),
    "dead_letters": Columns(
        ids="aggregate_id",
        plain="processor event_id type error_class error_message traceback fingerprint state aggregate_type",
    ),
    "disclosures": Columns(plain="who account role command what"),
    "event_ids": Columns(plain="id"),
    "fact_keys": Columns(plain="type version keys"),
    "erasures": Columns({"hashes": _JOURNAL}, plain="id who reason account role"),
    "events": Columns(
        {"payload": ("see the fields by type", REDACTED), "metadata": ("text", "keys that are not ours are removed")},
        ids="aggregate_id",
        plain="id type version aggregate_type correlation_id causation_id",
    ),
    "failure_bursts": Columns(plain="processor fingerprint"),
    "log_marks": Columns(),
    "payment_decisions": Columns(plain="donation_id who reason account role"),
    "processor_pause_audit": Columns(plain="processor kind who action details account role"),
    "processor_pauses": Columns(plain="processor kind who reason fingerprint probing"),
    "processors": Columns(plain="name patterns database"),
    "publisher_types": Columns(plain="publisher type who account role"),
    "quarantine": Columns(
        {"fields": ("as the log", EMPTIED)}, plain="stream entry_id digest type reason state event_id"
    ),
    "quarantine_audit": Columns(plain="who action details account role"),
    "relay_cursors": Columns(plain="name"),
    "secret_keys": Columns(plain="type key"),
    "unrouted": Columns(plain="type"),
}
"""The Events DB."""

TABLES: Mapping[str, Mapping[str, Columns]] = {"events": EVENTS, "app": APP, "analytics": ANALYTICS}
"""Per schema, each table with its columns."""
