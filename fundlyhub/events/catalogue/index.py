"""The index of payload classes by type and version."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import lru_cache
from types import MappingProxyType, ModuleType

from fundlyhub.errors import InvalidEvent, UnknownEventType, UnknownVersion, WrongUse
from fundlyhub.events.catalogue import admin, campaign, donation, organization, payout, project, search, storage, user
from fundlyhub.events.payload import Payload
from fundlyhub.secret_keys import SECRET_KEYS as SECRET_KEYS

_MODULES = (user, campaign, donation, organization, admin, search, project, storage, payout)
DOMAINS: Mapping[str, ModuleType] = MappingProxyType({one.__name__.rpartition(".")[2]: one for one in _MODULES})
"""The module of each domain, in the documentation's order."""

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "user.campaign_followed": "user.followed_campaign",
        "user.campaign_unfollowed": "user.unfollowed_campaign",
        "admin.user_suspended": "admin.user.suspended",
        "admin.user_deleted": "admin.user.deleted",
        "admin.user_role_assigned": "admin.user.role_assigned",
        "admin.campaign_approved": "admin.campaign.approved",
        "admin.campaign_rejected": "admin.campaign.rejected",
    }
)
"""Former names of some types."""


def version_triple(version: str) -> tuple[int, int, int]:
    """A canonical version as numbers, for comparing."""
    major, minor, patch = map(int, version.split("."))
    return major, minor, patch


def _classes() -> Iterator[type[Payload]]:
    for module in DOMAINS.values():
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Payload) and "event_type" in vars(value):
                yield value


_payloads: dict[tuple[str, str], type[Payload]] = {}
_versions: dict[str, tuple[str, ...]] = {}
_current: dict[str, type[Payload]] = {}

PAYLOADS: Mapping[tuple[str, str], type[Payload]] = MappingProxyType(_payloads)
"""Every payload class by type and version."""

VERSIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(_versions)
"""The known versions of each type, oldest first."""

CURRENT: Mapping[str, type[Payload]] = MappingProxyType(_current)
"""The payload class of each type in its newest version."""


def add(payload: type[Payload]) -> None:
    """Register a payload class, before the first event of its type is read.

    Raises WrongUse if its type and version have another class, and pydantic's error if it cannot be built.
    """
    payload.model_rebuild()
    _enter(payload)


def build() -> None:
    """Build the validators of all payload classes now, for a process that forks others: they share them.

    Else each is built when it is first used, by pydantic, once for all threads: building all takes longer than
    importing them, and most processes use few of them.
    """
    for payload in PAYLOADS.values():
        payload.model_rebuild()


def _enter(payload: type[Payload]) -> None:
    kind, version = payload.event_type, canonical_version(payload.event_version)
    if _payloads.setdefault((kind, version), payload) is not payload:
        raise WrongUse(f"{kind} {version} has the class {_payloads[kind, version].__name__} already")
    _arrange(kind)


def remove(payload: type[Payload]) -> None:
    """Remove a registered class, for tests."""
    del _payloads[payload.event_type, payload.event_version]
    _arrange(payload.event_type)


def _arrange(kind: str) -> None:
    versions = tuple(sorted((v for k, v in _payloads if k == kind), key=version_triple))
    if versions:
        _versions[kind], _current[kind] = versions, _payloads[kind, versions[-1]]
    else:
        del _versions[kind], _current[kind]


def canonical_type(name: str) -> str:
    """The type that an alias stands for; any other name itself."""
    return ALIASES.get(name, name)


@lru_cache(maxsize=1_000)
def canonical_version(text: str) -> str:
    """The version in three parts: ``1.0`` is ``1.0.0``. Raises InvalidEvent for any other text."""
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6}){1,2}", text):
        raise InvalidEvent("version: must be two or three numbers, such as 1.0.0")
    numbers = [str(int(part)) for part in text.split(".")]
    return ".".join([*numbers, "0"][:3])


def payload_class(type: str, version: str) -> type[Payload]:
    """The payload class of a canonical type and version.

    Raises UnknownEventType with the nearest known name, or UnknownVersion with the known ones.
    """
    found = PAYLOADS.get((type, version)) or _found_in_packages(type, version)
    if found is not None:
        return found
    if type not in VERSIONS:
        raise UnknownEventType(_no_such_type(type))
    known = VERSIONS[type]
    raise UnknownVersion(
        f"version: {version} of {type} is not known; known: {', '.join(known)}",
        newer=version_triple(canonical_version(version)) > version_triple(known[-1]),
    )


def _found_in_packages(kind: str, version: str) -> type[Payload] | None:
    """The class, if an installed package brings it whose types are not loaded yet."""
    from fundlyhub.events.packages import load  # it enters them here

    return PAYLOADS.get((kind, version)) if load() else None


def _no_such_type(name: str) -> str:
    # The name comes from outside: it is quoted only if it looks like a type.
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,80}", name):
        return "type: is not a known event type"
    nearest = get_close_matches(name.lower(), [*VERSIONS, *ALIASES], n=1)
    hint = f"; did you mean {canonical_type(nearest[0])}?" if nearest else ""
    return f"type: {name} is not a known event type{hint}"


for _found in _classes():
    _enter(_found)
