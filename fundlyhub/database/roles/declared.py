"""The roles and their rights, in one place: `fundlyhub migrate --roles` grants them, docs/roles.md shows them.

A right is a line of SQL's GRANT: ``SELECT, INSERT, UPDATE (state, reason)``. Each object of our migrations has its line
in ``CLASSIFIED`` or in a role's rights, so that a new table is looked at by somebody.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Literal, get_args

from fundlyhub.database.packages import VERSION_TABLE, packages
from fundlyhub.database.roles.shared import (
    ADD,
    ALL,
    DEAD_LETTERS,
    DO,
    ENVELOPE,
    ERASED_ANALYTICS,
    ERASED_APP,
    KEEPING,
    MAINTAIN,
    NUMBERS,
    PUBLISHING,
    READ,
    READ_MODELS,
    RENDERED,
    WORKER_ANALYTICS,
    WORKER_APP,
    Rights,
)
from fundlyhub.errors import WrongUse

Role = Literal[
    "publisher", "contacts", "ingest", "relay", "worker", "webhooks", "monitor", "console", "reader", "eraser"
]
"""The roles that are granted rights. The role ``owner`` owns the schemas and all that is in them."""
ROLES: tuple[Role, ...] = get_args(Role)
PREFIX = "fundlyhub_"
OWNER = f"{PREFIX}owner"

PURPOSE: Mapping[str, str] = {
    "publisher": "API services that publish: `publish_event` in Python and in SQL",
    "contacts": "the API service that keeps addresses, devices and preferences of users",
    "ingest": "`fundlyhub ingest`: publishes what streams bring, and keeps what is no event in quarantine",
    "relay": "`fundlyhub relay`, with the sweep, the mirror, and the keeper of the claims' partitions",
    "worker": "all Celery workers",
    "webhooks": "`fundlyhub webhooks`: the App DB alone",
    "monitor": "`fundlyhub metrics`, `status`, `health` and `waiting`: numbers and names, no payloads and no people",
    "console": "`fundlyhub console`; operators: `dlq`, `ingest quarantine`, `processors`, `payments`, `suppressions`, "
               "`notifications`",
    "reader": "reports and analysts: read models and the log without payloads",
    "eraser": "`fundlyhub people erase` and `show`: takes people's words out, and can change no fact of the log",
    "owner": "`migrate`, `verify`, `explain`, `rebuild`, `events archive`, `restore`, `people erase --check` and "
             "`--again`, `publishers`, "
             "`console user`, `console token`, `claims prune`, `relay rebase`",
}  # fmt: skip

RIGHTS: Mapping[Role, Rights] = {
    "publisher": PUBLISHING,
    "contacts": {
        "app.contacts": ALL,
        "app.devices": ALL,
        "app.preferences": ALL,
    },
    "ingest": {
        **PUBLISHING,
        "events.quarantine": "INSERT, SELECT (id, stream, entry_id, digest)",
        "events.quarantine_audit": "INSERT",
    },
    "relay": {
        **KEEPING,
        **DEAD_LETTERS,
        "events.events": READ,  # with payloads, for the mirror alone: it copies them to streams
        "events.processors": "SELECT, INSERT, UPDATE",
        "events.relay_cursors": "SELECT, INSERT, UPDATE",
        "events.relay_sleep": "SELECT, UPDATE",
        "events.unrouted": "SELECT, INSERT, UPDATE",
        "events.log_marks": ALL,
        # Whether a processor has more to do than its events: digests, reports, differences, documents.
        "app.digests": READ,
        "app.delivery_reports": "SELECT (id, received_at, failed_at, discarded_at)",
        "analytics.campaign_stats_added": READ,
        "analytics.campaign_stats_waiting": READ,
        "analytics.search_documents": READ,
        "analytics.search_indices": READ,
        "app.rebuilds": READ,
        "app.rebuild_ranges": READ,
        "analytics.rebuilds": READ,
        "analytics.rebuild_ranges": READ,
    },
    "worker": {
        **NUMBERS,
        **{f"{schema}.{name}": "SELECT, INSERT, UPDATE" for schema in ("app", "analytics")
           for name in ("rebuild_ranges", "rebuild_findings")},
        "app.rebuilds": "SELECT, UPDATE (next_at, followed, swept_at, filled_at)",
        "analytics.rebuilds": "SELECT, UPDATE (next_at, followed, swept_at, filled_at)",
        **DEAD_LETTERS,
        "events.events": READ,
        "events.processors": READ,
        "events.relay_cursors": READ,
        **{f"{schema}.processed_events": ADD + ", UPDATE" for schema in ("events", "app", "analytics")},
        **{f"app.{name}": ALL for name in WORKER_APP.split()},
        **{f"analytics.{name}": ALL for name in WORKER_ANALYTICS.split()},
        "analytics.campaign_stats_now": READ,
        "analytics.search_query": DO,
        "app.subscriptions": READ,
        "app.user_activities": READ,
    },
    "webhooks": {
        "app.alembic_version": READ,
        "app.delivery_reports": ALL,
        "app.notifications": (
            "SELECT (id, state, reason, user_id, provider, sent_at, provider_message_id), "
            "UPDATE (state, reason, lease_until, changed_at, sent_at, provider_message_id)"
        ),
        "app.suppressions": "SELECT (channel, address_hash, reason), INSERT, UPDATE (reason)",
        "app.suppression_causes": "INSERT",
        "app.preferences": "SELECT (user_id, category, channel), INSERT, UPDATE (wanted)",
    },
    "monitor": {
        **NUMBERS,
        "events.events": ENVELOPE,
        "events.archives": READ,
        "events.attempts": READ,
        "events.dead_letters": READ,
        "events.processor_pauses": READ,
        "events.processors": READ,
        "events.relay_cursors": READ,
        "events.relay_sleep": READ,
        "events.unrouted": READ,
        "events.log_marks": READ,
        "events.quarantine": "SELECT (id, stream, state, received_at)",
        "app.broadcasts": READ,
        "app.delivery_reports": "SELECT (id, provider, bytes, received_at, failed_at, error, discarded_at)",
        "app.digests": READ,
        "app.notifications": READ,
        "analytics.search_documents": READ,
        "app.rebuilds": "SELECT (processor, state)",
        "analytics.rebuilds": "SELECT (processor, state)",
    },
    "console": {
        **NUMBERS,
        **DEAD_LETTERS,
        **PUBLISHING,
        **READ_MODELS,
        "events.events": READ,
        "events.publisher_types": READ,
        "events.payment_decisions": "SELECT, INSERT, UPDATE",
        "events.corrections": ALL,
        "events.disclosures": ADD,
        "events.console_users": READ,
        "events.console_sessions": ALL,
        "events.console_links": "SELECT, INSERT, DELETE",
        "events.console_tokens": "SELECT, UPDATE (used_at)",
        "events.console_audit": ADD,
        "events.quarantine": "SELECT, UPDATE (state, reason, event_id, changed_at)",
        "events.quarantine_audit": ADD,
        "events.processors": READ,
        "events.relay_cursors": READ,
        "events.unrouted": READ,
        "events.log_marks": READ,
        # How far rebuilds are: what has been replayed, and which events could not be.
        **{f"{schema}.{name}": READ for schema in ("app", "analytics")
           for name in ("rebuilds", "rebuild_ranges", "rebuild_findings")},
        "app.broadcasts": READ,
        "app.delivery_reports": ALL,
        "app.devices": "SELECT (id, user_id, token, gone_at), UPDATE (gone_at)",
        "app.digests": READ,
        # A message as its recipient saw it is rendered anew, and only from these.
        **{f"app.{name}": READ for name in RENDERED.split()},
        "app.notifications": "SELECT, UPDATE",
        "app.resends": "SELECT, INSERT, UPDATE",
        "app.suppression_causes": "SELECT, INSERT, UPDATE",
        "app.suppressions": ALL,
        "analytics.search_documents": READ,
        "analytics.search_query": DO,
        "analytics.event_lookup": READ,
    },
    "eraser": {
        **NUMBERS,
        **{f"app.{name}": READ for name in WORKER_APP.split()},
        **{f"analytics.{name}": READ for name in WORKER_ANALYTICS.split()},
        **{f"app.{name}": f"SELECT, UPDATE, DELETE, {MAINTAIN}" for name in ERASED_APP.split()},
        "app.suppressions": f"SELECT, {MAINTAIN}",
        **{f"analytics.{name}": f"{ALL}, {MAINTAIN}" for name in ERASED_ANALYTICS.split()},
        **{f"{schema}.erasures": f"SELECT, INSERT, UPDATE, {MAINTAIN}" for schema in ("events", "app", "analytics")},
        **{f"{schema}.rebuilds": READ for schema in ("app", "analytics")},
        **{f"{schema}.end_rebuild": DO for schema in ("app", "analytics")},
        "analytics.search_query": DO,
        # It reads the log, and changes it by functions that change nothing but words.
        "events.events": f"SELECT, {MAINTAIN}",
        "events.corrections": f"SELECT, {MAINTAIN}",
        "events.archives": READ,
        "events.redact": DO,
        "events.redact_correction": DO,
        "events.rename_archive": DO,
        "events.quarantine": f"SELECT, UPDATE (fields, state, changed_at), {MAINTAIN}",
        "events.quarantine_audit": ADD,
        "events.disclosures": ADD,
        "events.relay_cursors": READ,
        "events.processors": READ,
        "events.processor_pauses": READ,
        "events.dead_letters": "SELECT (processor, position, state, event_id)",
        "events.attempts": "SELECT (processor, position)",
    },
    "reader": {
        **READ_MODELS,
        "events.publisher_types": READ,
        "events.events": ENVELOPE,
        "events.processors": READ,
        "events.archives": READ,
        "events.relay_cursors": READ,
        "events.attempts": "SELECT (processor, position, attempts, first_seen, next_at, error_class, crashes)",
        "events.dead_letter_audit": "SELECT (id, letter_id, at, who, action)",
        "events.dead_letters": "SELECT (id, processor, position, event_id, type, error_class, fingerprint, attempts, "
                               "first_failed_at, last_failed_at, state, aggregate_type, aggregate_id, changed_at)",
        "app.notifications": READ,
        "analytics.event_lookup": READ,
        **{f"{schema}.{name}": READ for schema in ("events", "app", "analytics")
           for name in ("alembic_version", "processed_events", "dropped_claims")},
    },
}  # fmt: skip

_INNER = "secret_names without_keys checked_payload check_types"
OWNERS_ALONE: Mapping[str, str] = {
    "analytics.count_campaign_donor": "a trigger calls it",
    "events.look_closer": "triggers call it",
    "events.insert_events": "publishers of the release before, by what they were granted",
    "events.secret_keys": "the same",
    **dict.fromkeys((f"events.{name}" for name in _INNER.split()), "publishing calls it as the owner"),
    **{f"{schema}.stamp_account": "triggers call it" for schema in ("events", "app", "analytics")},
    "events.fact_keys": "`fundlyhub migrate --roles` writes it, and the function below reads it",
    **dict.fromkeys(("events.only_erased", "events.check_erased"), "functions for the eraser call it as the owner"),
}
"""What no role is granted, and why."""
OTHERS: Mapping[Role, str] = {"worker": ALL, "relay": READ, "eraser": "SELECT, UPDATE, DELETE"}
"""The rights on tables of the App DB and the Analytics DB that another package has made."""


@cache
def declared() -> frozenset[str]:
    """All objects that are classified."""
    return frozenset(name for rights in (*RIGHTS.values(), OWNERS_ALONE) for name in rights)


def of_packages() -> Mapping[str, Mapping[str, str]]:
    """The rights that installed packages declare on their own tables, by role.

    Raises WrongUse when one names a role that is not there, or bears the beginning of a name of ours.
    """
    found: dict[str, dict[str, str]] = {role: {} for role in ROLES}
    for package in packages().values():
        where = f"the migrations {package.name!r} of {package.distribution}"
        if ours := next((one for one in declared() if package.owns(one.partition(".")[2])), None):
            raise WrongUse(f"{where}: {ours} is ours and begins with their name: choose another name")
        if unknown := sorted(set(package.rights) - set(ROLES)):
            raise WrongUse(f"{where}: RIGHTS: no such role {', '.join(unknown)}; there are {', '.join(ROLES)}")
        for role, rights in package.rights.items():
            found[role].update(rights)
    return found


def of_version_table(name: str, role: Role) -> str:
    """The right of a role on the table of a package's revision: as on ours in the same schema."""
    return RIGHTS[role].get(f"{name.partition('.')[0]}.{VERSION_TABLE}", "")
