"""Takes a person's words out of an event: what their fields say goes, and every fact stays. Pure."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, get_args

from pydantic import BaseModel

from fundlyhub.errors import InvalidEvent
from fundlyhub.events.catalogue import CURRENT, PAYLOADS, canonical_type, canonical_version
from fundlyhub.events.imported import IMPORTED
from fundlyhub.events.payload import Payload
from fundlyhub.events.personal import ERASED, ITEMS, Classified, Personal, erased, personal, placeholder
from fundlyhub.events.tracing import TRACEPARENT, TRACESTATE
from fundlyhub.people.person import Person

Json = dict[str, Any]

KEPT = frozenset({IMPORTED, TRACEPARENT, TRACESTATE, ERASED})
"""Keys of an event's metadata that are ours."""
OWNED: Mapping[str, tuple[str, str]] = {
    "campaign.created": ("userId", "campaignId"),
    "donation.initiated": ("donorId", "donationId"),
    "donation.completed": ("donorId", "donationId"),
    "donation.failed": ("donorId", "donationId"),
    "payout.requested": ("userId", "requestId"),
}
"""Types that say whose a thing is: the keys of the person and of the thing. Later events may name the thing alone."""
EVERYTHING = "*"
"""The field of an event of an unknown type: all of its texts."""

_NO_WORDS = re.compile(r"[A-Z]{3}|[\d.,:TZ+-]*|[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")
_GONE = "erased"


@dataclass(slots=True)
class Redacted:
    """An event that is about a person, without their words. ``fields`` are all that have been erased of it, ever."""

    payload: Json
    metadata: Json
    fields: frozenset[str]
    changed: bool
    things: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Place:
    """A personal field where an event has it: ``holder[key]``, inside of ``around``, the outermost first."""

    field: Classified
    holder: Json
    key: str
    around: Sequence[Json]


def class_of(kind: str, version: str) -> tuple[type[Payload] | None, bool]:
    """The payload class for an event of this type, and whether it is that of its version."""
    kind = canonical_type(kind)
    with suppress(InvalidEvent):
        if found := PAYLOADS.get((kind, canonical_version(version))):
            return found, True
    return CURRENT.get(kind), False


def redact(kind: str, version: str, payload: Json, metadata: Json, person: Person) -> Redacted | None:
    """The event without this person's words; None if it is not about them. Changes ``payload``."""
    cls, exact = class_of(kind, version)
    if cls is None:
        found, things, addresses = _opaque(payload, person), list[str](), list[str]()
    else:
        found, things, addresses = _known(cls, canonical_type(kind), payload, person, bool(erased(metadata)))
    if found is None:
        return None
    pruned = cls is not None and exact and _prune(payload, cls)
    kept = {key: value for key, value in metadata.items() if key in KEPT}
    fields = erased(metadata) | frozenset(found)
    changed = bool(found) or pruned or len(kept) != len(metadata)
    if changed:
        kept[ERASED] = sorted(fields)
    return Redacted(payload, kept, fields, changed, things, addresses)


def redact_all(redacted: Redacted | None, payload: Json, metadata: Json) -> Redacted:
    """An event that no reader can hold, without any word: what may stand in it nobody can tell. Changes ``payload``."""
    kept = {key: value for key, value in metadata.items() if key in KEPT}
    found = redacted or Redacted(payload, kept, erased(metadata), changed=True)
    _overwrite(found.payload)
    found.fields |= {EVERYTHING}
    found.metadata[ERASED] = sorted(found.fields)
    found.changed = True
    return found


def _known(
    cls: type[Payload], kind: str, payload: Json, person: Person, again: bool
) -> tuple[list[str] | None, list[str], list[str]]:
    places = [place for one in personal(cls) for place in places_of(one, payload)]
    thing = _thing_key(cls)
    theirs, addresses = set[tuple[str, ...]](), list[str]()
    for place in places:
        said = list(_texts(place.holder[place.key])) if _what(place) == "address" else []
        people = [one for key, one in _whose(place) if key != thing]
        if any(map(person.is_id, people)):
            addresses += said
        elif all(one is None for one in people) and any(map(person.has_address, said)) and place.field.whose:
            theirs.add(place.field.whose)  # a guest, of whom the address is all that is known
    matched = [place for place in places if place.field.whose in theirs or _is_theirs(place, person)]
    owner, owned = OWNED.get(kind, ("", ""))
    owns = bool(theirs) or person.is_id(payload.get(owner))
    about = owns or person.is_id(payload.get(_aggregate_key(cls) or "")) or bool(matched)
    about = about or (again and person.has_thing(payload.get(thing or "")))  # a guest's, without the address by now
    gone = [place.field.shown for place in matched if _erase(place)]
    listed = [place.field.shown for place in places if not place.field.whose and _erase_listed(place, person)]
    if not (about or listed):
        return None, [], []
    return gone + listed, [payload[owned]] if owns and isinstance(payload.get(owned), str) else [], addresses


def _is_theirs(place: Place, person: Person) -> bool:
    return any(person.is_id(one) or person.has_thing(one) for _, one in _whose(place))


def _whose(place: Place) -> Iterator[tuple[str, Any]]:
    """The values of the fields that say whose it is, each from the innermost object that has it."""
    for key in place.field.whose:
        yield key, next((one[key] for one in reversed(place.around) if key in one), None)


def _what(place: Place) -> str:
    assert isinstance(place.field.mark, Personal)
    return place.field.mark.what


def _erase(place: Place) -> bool:
    instead = placeholder(place.field)
    if place.holder[place.key] == instead:
        return False
    if instead is None:
        del place.holder[place.key]
    else:
        place.holder[place.key] = copy.copy(instead)
    return True


def _erase_listed(place: Place, person: Person) -> bool:
    """Take their address out of a field that holds anybody's."""
    value = place.holder[place.key]
    if isinstance(value, list):
        kept = [one for one in value if not person.has_address(one)]
        place.holder[place.key] = kept
        return len(kept) != len(value)
    return person.has_address(value) and _erase(place)


def places_of(one: Classified, payload: Json) -> Iterator[Place]:
    """Wherever an event has this field."""
    return _places(one, payload, one.path, (payload,))


def _places(one: Classified, node: Any, path: Sequence[str], around: Sequence[Json]) -> Iterator[Place]:
    if not isinstance(node, dict) or path[0] not in node:
        return
    if len(path) == 1:
        yield Place(one, node, path[0], around)
    elif path[1] != ITEMS:
        inner = node[path[0]]
        yield from _places(one, inner, path[1:], (*around, inner) if isinstance(inner, dict) else around)
    elif isinstance(node[path[0]], list):
        for item in node[path[0]]:
            if isinstance(item, dict):
                yield from _places(one, item, path[2:], (*around, item))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        yield from (one for one in value if isinstance(one, str))


def _aggregate_key(cls: type[Payload]) -> str | None:
    """The key of the aggregate's id, if that is a user."""
    return _key(cls, cls.aggregate_field) if cls.aggregate_kind == "user" and cls.aggregate_field else None


def _thing_key(cls: type[Payload]) -> str | None:
    """The key of the aggregate's id, if that is a thing and no user."""
    return _key(cls, cls.aggregate_field) if cls.aggregate_kind != "user" and cls.aggregate_field else None


def _key(cls: type[BaseModel], name: str) -> str:
    return cls.model_fields[name].alias or name


def _prune(payload: Json, cls: type[Payload]) -> bool:
    """Take out the keys that the class does not know: nobody reads them, and they may say anything."""
    found = _without_unknown(payload, cls)
    for name, info in cls.model_fields.items():
        inner = payload.get(info.alias or name)
        for model in _models(info.annotation):
            for holder in inner if isinstance(inner, list) else (inner,):
                found |= isinstance(holder, dict) and _without_unknown(holder, model)
    return found


def _without_unknown(holder: Json, model: type[BaseModel]) -> bool:
    unknown = holder.keys() - {info.alias or name for name, info in model.model_fields.items()}
    for key in unknown:
        del holder[key]
    return bool(unknown)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _opaque(payload: Json, person: Person) -> list[str] | None:
    """Overwrite all texts of an event of an unknown type that names the person; ids, numbers and times stay."""
    if not any(person.is_id(one) or person.has_address(one) for one in _leaves(payload)):
        return None
    return [EVERYTHING] if _overwrite(payload) else []


def _leaves(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for one in node.values():
            yield from _leaves(one)
    elif isinstance(node, list):
        for one in node:
            yield from _leaves(one)


def _overwrite(node: Any) -> bool:
    changed = False
    for key, one in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        if isinstance(one, dict | list):
            changed |= _overwrite(one)
        elif isinstance(one, str) and one != _GONE and not _NO_WORDS.fullmatch(one):
            node[key] = _GONE
            changed = True
    return changed
