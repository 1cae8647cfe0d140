"""The configuration of the mirror: which event types are mirrored, and which of their fields. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from fundlyhub.errors import WrongUse
from fundlyhub.events import Event, canonical_type
from fundlyhub.events.catalogue import CURRENT, VERSIONS
from fundlyhub.events.encoding import dumps
from fundlyhub.events.fields import ms_from_datetime
from fundlyhub.events.refusal import of_one_event
from fundlyhub.processing.routing import pattern_regex

CHANNEL = "events:"
"""What the name of each stream begins with; the event's type follows."""

_OF_CAMPAIGNS = ("campaignId",)
_OF_ORGANIZATIONS = ("organizationId",)
_OF_UPDATES = ("updateId", "fundraiserId")
_OF_PAYOUTS = ("requestId",)

SAFE_FIELDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "campaign.created": (*_OF_CAMPAIGNS, "goalAmount", "currency", "visibility", "status"),
        "campaign.updated": _OF_CAMPAIGNS,
        "campaign.deleted": _OF_CAMPAIGNS,
        "campaign.goal_reached": (*_OF_CAMPAIGNS, "goalAmount", "totalRaised", "donorCount"),
        "campaign.status_changed": (*_OF_CAMPAIGNS, "previousStatus", "newStatus"),
        "donation.initiated": ("donationId", "campaignId", "amount", "currency"),
        "donation.completed": ("donationId", "campaignId", "amount", "currency"),
        "donation.failed": ("campaignId", "amount", "retryable"),
        "donation.refunded": ("donationId", "campaignId", "refundAmount"),
        "user.followed_campaign": _OF_CAMPAIGNS,
        "user.unfollowed_campaign": _OF_CAMPAIGNS,
        "user.followed_organization": _OF_ORGANIZATIONS,
        "user.unfollowed_organization": _OF_ORGANIZATIONS,
        "organization.created": (*_OF_ORGANIZATIONS, "verificationStatus"),
        "organization.verified": _OF_ORGANIZATIONS,
        "organization.rejected": _OF_ORGANIZATIONS,
        "organization.updated": _OF_ORGANIZATIONS,
        "organization.deleted": _OF_ORGANIZATIONS,
        "admin.campaign.approved": _OF_CAMPAIGNS,
        "admin.campaign.rejected": _OF_CAMPAIGNS,
        "admin.campaign.paused": _OF_CAMPAIGNS,
        "admin.campaign.closed": _OF_CAMPAIGNS,
        "project.update.created": (*_OF_UPDATES, "visibility"),
        "project.update.edited": _OF_UPDATES,
        "project.update.deleted": _OF_UPDATES,
        "payout.approved": _OF_PAYOUTS,
        "payout.denied": _OF_PAYOUTS,
        "payout.completed": _OF_PAYOUTS,
        "payout.failed": (*_OF_PAYOUTS, "isRetryable"),
    }
)
"""Fields without personal data, by type; of other types only the envelope is shown by default.

An organization's name is among the others, since a person may be one; so is any text that a person has written.
"""


class Mirrored:
    """What the setting ``MIRROR`` chooses; ``fields`` are those of each type that is mirrored."""

    def __init__(self, chosen: str) -> None:
        """``chosen`` is read as ``campaign.*, donation.completed=campaignId+amount``.

        A type or pattern stands for itself with its safe fields, or with just the fields that are named after it; the
        last one that names a type counts. Raises WrongUse for what matches no type, and for a field that is none.
        """
        self.fields: dict[str, tuple[str, ...]] = {}
        for item in filter(None, (part.strip() for part in chosen.split(","))):
            pattern, _, names = (part.strip() for part in item.partition("="))
            kinds = [kind for kind in VERSIONS if re.fullmatch(pattern_regex(pattern), kind)]
            if not kinds:
                raise WrongUse(f"FUNDLYHUB_MIRROR: {pattern!r} is no event type and matches none")
            for kind in kinds:
                self.fields[kind] = _named(kind, names) if "=" in item else SAFE_FIELDS.get(kind, ())
        self.wants = lru_cache(maxsize=1_000)(self._wants)

    def __bool__(self) -> bool:
        return bool(self.fields)

    def _wants(self, kind: str) -> bool:
        return canonical_type(kind) in self.fields

    @of_one_event
    def entry(self, event: Event) -> dict[Any, Any]:
        """The fields of an event's entry; ``id`` is what a subscriber knows it by when it comes twice.

        Raises InvalidEvent if its payload cannot be written.
        """
        said = event.payload_wire()
        return {
            "id": str(event.id),
            "type": event.type,
            "version": event.version,
            "timestamp": str(ms_from_datetime(event.timestamp)),
            "position": event.position or 0,
            "payload": dumps({name: said[name] for name in self.fields[event.type] if name in said}),
        }


def _named(kind: str, names: str) -> tuple[str, ...]:
    chosen = tuple(filter(None, (name.strip() for name in names.split("+"))))
    known = [field.alias or name for name, field in CURRENT[kind].model_fields.items()]
    if unknown := [name for name in chosen if name not in known]:
        raise WrongUse(f"FUNDLYHUB_MIRROR: {kind} has no field {unknown[0]!r}; it has {', '.join(known)}")
    return chosen
