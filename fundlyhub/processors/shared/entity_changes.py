"""Field changes of users, campaigns, organizations, project updates and payouts, from events. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pydantic.alias_generators import to_snake

from fundlyhub.events import Event, Payload
from fundlyhub.events import catalogue as payloads
from fundlyhub.events.personal import erased
from fundlyhub.processors.shared.last_writer_fields import Clock, Entity, Write

Fields = Mapping[str, Any]
Telling = Callable[[Any, Event], Fields]
"""From a payload to the fields that it sets, by name, as JSON values."""

COLUMNS = {"story_html": "story"}
"""Columns of the platform that have another name here, so that a story is one field in the events of all producers."""


def _given(*names: str) -> Telling:
    """These fields of the payload, as far as it has them."""
    return lambda payload, _: payload.model_dump(mode="json", by_alias=False, include=set(names))


def _changes(payload: Any, _: Event) -> Fields:
    """The changed columns; one that was emptied is null."""
    return {COLUMNS.get(name, name): value for name, value in payload.changes.model_dump(mode="json").items()}


def _always(**fields: Any) -> Telling:
    return lambda payload, event: fields


def _created(payload: payloads.CampaignCreated, event: Event) -> Fields:
    fields = _given(
        "title", "slug", "summary", "story", "beneficiary_name", "location", "category_id", "status", "visibility",
        "is_discoverable", "currency", "goal_amount", "cover_image",
    )  # fmt: skip
    return {**fields(payload, event), "owner_id": str(payload.user_id), "created_at": event.timestamp.isoformat()}


def _registered(payload: payloads.UserRegistered, event: Event) -> Fields:
    return {**_given("name", "email")(payload, event), "created_at": event.timestamp.isoformat()}


def _organization(payload: payloads.OrganizationCreated, event: Event) -> Fields:
    fields = _given("legal_name", "verification_status")
    return {**fields(payload, event), "created_at": event.timestamp.isoformat()}


_DELETED = _always(deleted=True)  # for good: no event brings anything back

TELLING: Mapping[type[Payload], tuple[str, str, Telling]] = {
    payloads.UserRegistered: ("user", "user_id", _registered),
    payloads.UserProfileUpdated: ("user", "user_id", _changes),
    payloads.AdminUserSuspended: ("user", "user_id", _always(suspended=True)),
    payloads.AdminUserUnsuspended: ("user", "user_id", _always(suspended=False)),
    payloads.AdminUserDeleted: ("user", "user_id", _DELETED),
    payloads.CampaignCreated: ("campaign", "campaign_id", _created),
    payloads.CampaignUpdated: ("campaign", "campaign_id", _changes),
    payloads.CampaignStatusChanged: ("campaign", "campaign_id", lambda payload, _: {"status": payload.new_status}),
    payloads.CampaignDeleted: ("campaign", "campaign_id", _DELETED),
    payloads.AdminCampaignApproved: ("campaign", "campaign_id", _always(status="active")),
    payloads.AdminCampaignRejected: ("campaign", "campaign_id", _always(status="draft")),
    payloads.AdminCampaignPaused: ("campaign", "campaign_id", _always(status="paused")),
    payloads.AdminCampaignClosed: ("campaign", "campaign_id", _always(status="closed")),
    payloads.OrganizationCreated: ("organization", "organization_id", _organization),
    payloads.OrganizationVerified: ("organization", "organization_id", _always(verification_status="verified")),
    payloads.OrganizationRejected: ("organization", "organization_id", _always(verification_status="rejected")),
    payloads.OrganizationUpdated: ("organization", "organization_id", _changes),
    payloads.OrganizationDeleted: ("organization", "organization_id", _DELETED),
    payloads.ProjectUpdateCreated: ("project_update", "update_id", _given("title", "visibility")),
    payloads.ProjectUpdateEdited: ("project_update", "update_id", _changes),
    payloads.ProjectUpdateDeleted: ("project_update", "update_id", _DELETED),
    payloads.PayoutRequested: ("payout", "request_id", _always(progress="requested")),
    payloads.PayoutApproved: ("payout", "request_id", _always(progress="approved")),
    payloads.PayoutDenied: ("payout", "request_id", _always(outcome="denied")),
    payloads.PayoutCompleted: ("payout", "request_id", _always(outcome="completed")),
    payloads.PayoutFailed: ("payout", "request_id", _always(outcome="failed")),
    payloads.PayoutCancelled: ("payout", "request_id", _always(outcome="cancelled")),
    payloads.PayoutBankAccountVerified: ("bank_account", "bank_account_id", _always(verified=True)),
    payloads.PayoutBankAccountVerificationFailed: ("bank_account", "bank_account_id", _always(verified=False)),
}
"""Per payload class: the kind of entity, the payload's field with its id, and the changes."""


def payloads_of(*kinds: str) -> tuple[type[Payload], ...]:
    """The payload classes that speak of entities of these kinds; for a processor's ``handles``."""
    return tuple(cls for cls, (kind, _, _) in TELLING.items() if kind in kinds)


STATES: Mapping[str, frozenset[str]] = {
    "campaign": frozenset({"status"}),
    "user": frozenset({"suspended"}),
    "payout": frozenset({"progress", "outcome"}),
    "bank_account": frozenset({"verified"}),
}
"""Fields that messages report, per kind: a later event may overtake an earlier one."""


def told(events: Iterable[Event], wanted: Mapping[str, frozenset[str]]) -> Iterator[tuple[Entity, str, Write]]:
    """The changes by these events; ``wanted`` names the fields per kind of entity, all others are left out."""
    for event in events:
        telling = TELLING.get(type(event.payload))
        if telling is None or telling[0] not in wanted:
            continue
        kind, id_field, say = telling
        entity, clock = Entity(kind, getattr(event.payload, id_field)), Clock.of(event)
        gone = _erased(event)
        for field, value in {**say(event.payload, event), **dict.fromkeys(gone)}.items():
            if field in wanted[kind]:
                yield entity, field, Write(clock, value)


def erasures(events: Iterable[Event], wanted: Mapping[str, frozenset[str]]) -> Iterator[tuple[Entity, str, Write]]:
    """Of the changes by these events those whose values have been erased."""
    for event in events:
        if gone := _erased(event):
            yield from (one for one in told((event,), wanted) if one[1] in gone)


def _erased(event: Event) -> frozenset[str]:
    """The fields that an event once told, and that were erased: it is as if it had emptied them."""
    paths = erased(event.metadata)
    if not paths:
        return paths
    changed = (path.removeprefix("changes.") for path in paths if path.startswith("changes."))
    return frozenset((*(to_snake(path) for path in paths if "." not in path), *(COLUMNS.get(n, n) for n in changed)))
