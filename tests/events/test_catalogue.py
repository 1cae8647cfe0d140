"""The payload classes against the facts of the platform's events: ``catalogue_facts.json``."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from fundlyhub.errors import InvalidEvent, UnknownEventType, UnknownVersion
from fundlyhub.events import catalogue
from fundlyhub.events.catalogue import (
    ALIASES,
    CURRENT,
    PAYLOADS,
    SECRET_KEYS,
    VERSIONS,
    canonical_type,
    canonical_version,
    payload_class,
)
from fundlyhub.events.payload import Payload, dropped_keys
from fundlyhub.events.reference import catalogue_markdown
from fundlyhub.events.schema import all_schemas, json_schema
from fundlyhub.events.types import EventType
from tests.support import ROOT

FACTS: list[dict[str, Any]] = json.loads(Path(__file__).with_name("catalogue_facts.json").read_bytes())
IDS = [f"{fact['type']}-{fact['version']}" for fact in FACTS]
each_type = pytest.mark.parametrize("fact", FACTS, ids=IDS)

A_UUID = "0b5e6a3c-1111-4222-8333-444455556666"
# By kind: a right value, as JSON would bring it, and a wrong one.
SAMPLES: dict[str, tuple[Any, Any]] = {
    "uuid": (A_UUID, "pi_123"),
    "uuid or null": (A_UUID, "pi_123"),
    "uuid or system": ("system", "nobody"),
    "reference": ("pi_123", ""),
    "text": ("Words", 5),
    "last4": ("aB3_", "aB3_5"),
    "email": ("ann@example.org", "ann"),
    "url": ("https://example.org/a.png", "ftp://example.org"),
    "bool": (True, "yes"),
    "loose bool": (True, "maybe"),
    "int": (3, Decimal("1.5")),
    "percent": (100, 101),
    "float": (Decimal("0.25"), "0.25"),
    "decimal": (Decimal("12.50"), "12.50"),
    "decimal above 0": (Decimal("12.50"), 0),
    "decimal text": ("12.50", "1e3"),
    "currency": ("EUR", "EURO"),
    "date": ("2026-01-31", "31.1.2026"),
    "day text": ("2026-01-31", "31.1.2026"),
    "iso moment": ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00"),
    "ms moment": (1_769_860_800_000, 1_769_860_800),
    "list": ([], "a"),
    "object": ({}, []),
}


def sample(kind: str) -> Any:
    return kind[5:-1].split(",", maxsplit=1)[0] if kind.startswith("enum[") else SAMPLES[kind][0]


def wrong(kind: str) -> Any:
    return "no such word" if kind.startswith("enum[") else SAMPLES[kind][1]


def minimal(fact: dict[str, Any]) -> dict[str, Any]:
    return {name: sample(kind) for name, kind in fact["required"].items()}


def complete(fact: dict[str, Any]) -> dict[str, Any]:
    return minimal(fact) | {name: sample(kind) for name, kind in fact["optional"].items()}


def cls_of(fact: dict[str, Any]) -> type[Payload]:
    return PAYLOADS[fact["type"], fact["version"]]


def as_from_json(wire: dict[str, Any]) -> Any:
    """Through JSON text, as the log and the stream hold it."""
    text = orjson.dumps(wire, default=lambda value: orjson.Fragment(format(value, "f")))
    return json.loads(text, parse_float=Decimal)


def refused_fields(cls: type[Payload], payload: dict[str, Any]) -> set[str]:
    with pytest.raises(ValidationError) as caught:
        cls.model_validate(payload)
    return {str(fault["loc"][0]) for fault in caught.value.errors()}


def test_each_type_of_the_platform_has_a_class_and_no_class_is_without_a_type() -> None:
    assert set(PAYLOADS) == {(fact["type"], fact["version"]) for fact in FACTS}
    assert len(CURRENT) == 62


@each_type
def test_a_class_is_called_by_its_type(fact: dict[str, Any]) -> None:
    plain = "".join(part.capitalize() for part in re.split("[._]", fact["type"]))
    older = fact["version"] != VERSIONS[fact["type"]][-1]
    assert cls_of(fact).__name__ == plain + ("V1" if older else "")
    assert re.fullmatch(r"[A-Z].+\.", " ".join((cls_of(fact).__doc__ or "").split()))


@each_type
def test_the_fields_are_those_of_the_platform_and_no_more(fact: dict[str, Any]) -> None:
    fields = {field.alias or name: field.is_required() for name, field in cls_of(fact).model_fields.items()}
    assert fields == dict.fromkeys(fact["required"], True) | dict.fromkeys(fact["optional"], False)


@each_type
def test_the_smallest_payload_is_accepted_and_stays_as_small(fact: dict[str, Any]) -> None:
    payload = cls_of(fact).model_validate(minimal(fact))
    added = payload.to_wire().keys() - fact["required"].keys()
    assert all(cls_of(fact).model_json_schema()["properties"][name]["default"] is not None for name in added)


@each_type
def test_a_payload_is_the_same_after_a_way_through_json(fact: dict[str, Any]) -> None:
    payload = cls_of(fact).model_validate(complete(fact))
    wire = as_from_json(payload.to_wire())
    assert wire.keys() == complete(fact).keys()
    assert cls_of(fact).model_validate(wire) == payload


@each_type
def test_a_required_field_that_is_missing_or_null_is_named(fact: dict[str, Any]) -> None:
    for name, kind in fact["required"].items():
        without = {key: value for key, value in minimal(fact).items() if key != name}
        assert refused_fields(cls_of(fact), without) == {name}
        if kind != "uuid or null":
            assert refused_fields(cls_of(fact), minimal(fact) | {name: None}) == {name}


@each_type
def test_null_for_an_optional_field_is_absent(fact: dict[str, Any]) -> None:
    nulls = dict.fromkeys(fact["optional"])
    assert cls_of(fact).model_validate(minimal(fact) | nulls) == cls_of(fact).model_validate(minimal(fact))


@each_type
def test_a_wrong_kind_is_refused_and_its_field_named(fact: dict[str, Any]) -> None:
    for name, kind in (fact["required"] | fact["optional"]).items():
        assert refused_fields(cls_of(fact), complete(fact) | {name: wrong(kind)}) == {name}


@each_type
def test_unknown_keys_and_secrets_are_dropped_and_counted_by_name(fact: dict[str, Any]) -> None:
    extra = {"nobodyKnows": 1, **dict.fromkeys(SECRET_KEYS.get(fact["type"], ()), "hush")}
    before = dropped_keys[f"{cls_of(fact).__name__}.nobodyKnows"]
    wire = cls_of(fact).model_validate(minimal(fact) | extra).to_wire()
    assert not wire.keys() & extra.keys()
    assert dropped_keys[f"{cls_of(fact).__name__}.nobodyKnows"] == before + 1


@each_type
def test_the_aggregate_is_the_thing_that_the_event_is_about(fact: dict[str, Any]) -> None:
    kind, id_key = fact["aggregate"]
    payload = cls_of(fact).model_validate(complete(fact))
    assert payload.aggregate_kind == kind
    assert payload.aggregate_id == (complete(fact)[id_key] if id_key else None)


def test_secrets_are_fields_of_no_class() -> None:
    for kind, keys in SECRET_KEYS.items():
        for version in VERSIONS[kind]:
            names = {f.alias for f in PAYLOADS[kind, version].model_fields.values()}
            assert not names & set(keys)
    assert "sessionId" in {f.alias for f in catalogue.SearchQuerySubmitted.model_fields.values()}


def test_event_type_has_a_member_for_each_type() -> None:
    assert {member.name: member.value for member in EventType} == {
        found.__name__: kind for kind, found in CURRENT.items()
    }
    assert CURRENT[EventType.DonationCompleted] is catalogue.DonationCompleted
    assert f"{EventType.DonationCompleted}" == "donation.completed"


def test_the_catalogue_offers_each_class_and_nothing_that_its_modules_import() -> None:
    offered = {name for name, value in vars(catalogue).items() if isinstance(value, type) and not name.startswith("_")}
    assert offered == {found.__name__ for found in PAYLOADS.values()}


def test_an_alias_leads_to_a_type_that_exists() -> None:
    assert set(ALIASES.values()) <= set(CURRENT)
    assert not set(ALIASES) & set(CURRENT)
    assert canonical_type("user.campaign_followed") == "user.followed_campaign"
    assert canonical_type("nobody.knows") == "nobody.knows"


@pytest.mark.parametrize(
    ("text", "canonical"), [("1.0", "1.0.0"), ("1.0.0", "1.0.0"), ("2.10.3", "2.10.3"), ("01.0", "1.0.0")]
)
def test_a_version_of_two_parts_is_one_of_three(text: str, canonical: str) -> None:
    assert canonical_version(text) == canonical


@pytest.mark.parametrize("text", ["", "1", "v1.0", "1.0.0.0", "1.0.0-beta", "1.0\n", "\u0661.0", "latest"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(InvalidEvent, match=r"^version: "):
        canonical_version(text)


def test_a_typo_in_the_type_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(UnknownEventType, match=r"did you mean donation\.completed\?$"):
        payload_class("donation.complete", "1.0.0")


def test_a_type_that_looks_like_none_is_not_repeated() -> None:
    with pytest.raises(UnknownEventType) as caught:
        payload_class("ann@example.org wrote", "1.0.0")
    assert "ann" not in str(caught.value)


@pytest.mark.parametrize(("version", "newer"), [("2.0.1", True), ("10.0.0", True), ("1.5.0", False)])
def test_an_unknown_version_tells_the_known_ones_and_whether_it_is_newer(version: str, newer: bool) -> None:
    with pytest.raises(UnknownVersion, match=r"known: 1\.0\.0, 2\.0\.0$") as caught:
        payload_class("donation.completed", version)
    assert caught.value.newer is newer


@each_type
def test_the_schema_has_each_key_of_the_wire(fact: dict[str, Any]) -> None:
    schema = json_schema(fact["type"], fact["version"])
    assert schema["$id"] == f"urn:fundlyhub:event:{fact['type']}:{fact['version']}"
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert set(schema["properties"]) == fact["required"].keys() | fact["optional"].keys()
    assert set(schema.get("required", ())) == fact["required"].keys()
    for name, kind in fact["required"].items():
        if kind in ("decimal", "decimal above 0", "ms moment"):
            assert schema["properties"][name]["type"] == "number"


def test_a_schema_is_found_by_alias_and_by_the_newest_version() -> None:
    assert json_schema("user.campaign_followed") == json_schema("user.followed_campaign", "1.0")
    assert json_schema("donation.completed")["$id"].endswith(":2.0.0")
    assert len(all_schemas()) == len(PAYLOADS)
    with pytest.raises(UnknownEventType):
        json_schema("donation.complete")


def test_the_page_of_all_events_is_up_to_date() -> None:
    page = ROOT / "docs" / "events.md"
    assert page.read_text(encoding="utf-8") == catalogue_markdown(), (
        "run: python -m fundlyhub.events.reference > docs/events.md"
    )
