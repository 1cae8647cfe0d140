"""Generates ``docs/events.md`` from the payload classes, for `fundlyhub events docs`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from fundlyhub.events.catalogue import ALIASES, CURRENT, DOMAINS, PAYLOADS, SECRET_KEYS, VERSIONS
from fundlyhub.events.payload import Changes, MoneyPayload, Payload
from fundlyhub.events.schema import json_schema

_INTRODUCTION = """\
# The events

This page is generated from the payload classes in `fundlyhub/events/catalogue/`: do not edit it.

Names are camelCase on the wire and snake_case in Python. An optional field may be left out or null, which is the same.
A key that is not listed is dropped. Money is in major units and has no more decimals than its currency. In a map of
changes, a missing key means that the column has not changed, and null empties the column where that is allowed.
"""

_FORMATS = {
    "uuid": "UUID",
    "date": "day, such as 2026-01-31",
    "date-time": "time, such as 2026-01-31T12:00:00Z",
    "email": "e-mail address",
    "uri": "web address",
}
_TYPES = {
    "string": "text",
    "number": "number",
    "integer": "whole number",
    "boolean": "true or false",
    "object": "object",
}
_LIMITS = {
    "exclusiveMinimum": "above {:,}",
    "minimum": "from {:,}",
    "maximum": "to {:,}",
    "minLength": "at least {:,} characters",
    "maxLength": "at most {:,} characters",
    "maxItems": "at most {:,} entries",
    "maxProperties": "at most {:,} entries",
}

Schema = dict[str, Any]


def catalogue_markdown() -> str:
    """The page of all event types by domain, with description, versions and fields."""
    parts = [_INTRODUCTION, *_contents()]
    for domain in DOMAINS:
        parts.append(f"## {domain.capitalize()}\n")
        for kind in _types_of(domain):
            parts.extend(_one_type(kind))
    return "\n".join(parts)


def _types_of(domain: str) -> list[str]:
    return [kind for kind in CURRENT if kind.startswith(f"{domain}.")]


def _contents() -> Iterator[str]:
    for domain in DOMAINS:
        links = ", ".join(f"[`{kind}`](#{_anchor(kind)})" for kind in _types_of(domain))
        yield f"* {domain.capitalize()}: {links}"
    yield ""


def _anchor(kind: str) -> str:
    return kind.replace(".", "")


def _one_type(kind: str) -> Iterator[str]:
    current = CURRENT[kind]
    yield f"### {kind}\n"
    yield f"{_sentence(current)}\n"
    yield f"* Class `{current.__name__}`, version {current.event_version}"
    for version in reversed(VERSIONS[kind][:-1]):
        older = PAYLOADS[kind, version]
        yield f"* Class `{older.__name__}`, version {version}: {_sentence(older)}"
        yield f"  Required there: {_required_names(older)}."
    yield f"* About: {_about(current)}"
    names = [f"`{alias}`" for alias, meant in ALIASES.items() if meant == kind]
    if names:
        yield f"* Also known as {', '.join(names)}"
    if kind in SECRET_KEYS:
        yield f"* Removed as secrets: {', '.join(f'`{key}`' for key in SECRET_KEYS[kind])}"
    if issubclass(current, MoneyPayload):
        yield f"* Amounts have at most the decimals of `{current.currency_field}`"
    yield "\n| on the wire | in Python | type | required | limits |\n|---|---|---|---|---|"
    schema = json_schema(kind)
    yield from _rows(current, schema, schema.get("$defs", {}), "")
    yield ""


def _sentence(payload: type[Payload]) -> str:
    return " ".join((payload.__doc__ or "").split())


def _required_names(payload: type[Payload]) -> str:
    return ", ".join(f"`{_wire_name(n, f)}`" for n, f in payload.model_fields.items() if f.is_required())


def _about(payload: type[Payload]) -> str:
    field = payload.aggregate_field
    return f"{payload.aggregate_kind} `{field}`" if field else f"{payload.aggregate_kind}, which has no id"


def _wire_name(name: str, field: FieldInfo) -> str:
    return field.alias or name


def _rows(model: type[BaseModel], schema: Schema, defs: Schema, prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        wire = _wire_name(name, field)
        shown = schema["properties"][wire]
        plain = _without_null(shown)
        kind, limits = _kind(plain), ", ".join(_limits(plain)) or "—"
        yield f"| `{prefix}{wire}` | `{name}` | {kind} | {_required(model, field, shown)} | {limits} |"
        inner = _model_in(field.annotation)
        if inner is not None:
            dots = "[]." if plain.get("type") == "array" else "."
            yield from _rows(inner, defs[inner.__name__], defs, f"{prefix}{wire}{dots}")


def _without_null(shown: Schema) -> Schema:
    others = [one for one in shown.get("anyOf", ()) if one != {"type": "null"}]
    return others[0] if len(others) == 1 else {"anyOf": others} if others else shown


def _kind(shown: Schema) -> str:
    if "anyOf" in shown:
        return " or ".join(map(_kind, shown["anyOf"]))
    if "enum" in shown or "const" in shown:
        words = ", ".join(f"`{value}`" for value in shown.get("enum", [shown.get("const")]))
        return f"one of {words}" if "enum" in shown else words
    return "object" if "$ref" in shown else _plain_kind(shown)


def _plain_kind(shown: Schema) -> str:
    if shown["type"] == "array":
        return f"list of {_kind(shown['items'])}"
    if "additionalProperties" in shown:
        return f"object of {_kind(_without_null(shown['additionalProperties']))}"
    kind = _FORMATS.get(shown.get("format", ""), _TYPES[shown["type"]])
    return f"{kind}: {shown['description']}" if "description" in shown else kind


def _limits(shown: Schema) -> Iterator[str]:
    for keyword, text in _LIMITS.items():
        if keyword in shown:
            yield text.format(shown[keyword])


def _required(model: type[BaseModel], field: FieldInfo, shown: Schema) -> str:
    nullable = {"type": "null"} in shown.get("anyOf", ())
    if field.is_required():
        return "yes, or null" if nullable else "yes"
    if field.default is not None:
        return f"no: `{json.dumps(field.default)}`"
    return "no; null empties it" if nullable and issubclass(model, Changes) else "no"


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model in a field's type, which may be optional or a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _model_in(inner))), None)
