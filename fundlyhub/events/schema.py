"""JSON Schemas (draft 2020-12) of the payloads, for other tools."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from fundlyhub.events.catalogue import CURRENT, PAYLOADS, canonical_type, canonical_version, payload_class
from fundlyhub.events.payload import Payload


class _Generator(GenerateJsonSchema):
    """Leaves out titles that repeat names, and null as the default of optional fields."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        shown = super().default_schema(schema)
        if shown.get("default", ...) is None:
            del shown["default"]
        return shown


def json_schema(type: str, version: str | None = None) -> dict[str, Any]:
    """The JSON Schema of a type's payload on the wire, in the newest version or the one given.

    Keys are camelCase and money is a number. Aliases of types, and versions such as ``1.0``, are accepted.
    Raises UnknownEventType, UnknownVersion, or InvalidEvent for a text that is no version.
    """
    kind = canonical_type(type)
    if version is None and kind in CURRENT:
        return _schema(CURRENT[kind])
    return _schema(payload_class(kind, canonical_version(version or "1.0.0")))


def all_schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schema of every type in every known version, by its ``$id``."""
    return {schema["$id"]: schema for schema in map(_schema, PAYLOADS.values())}


def _schema(payload: type[Payload]) -> dict[str, Any]:
    return {
        "$schema": _Generator.schema_dialect,
        "$id": f"urn:fundlyhub:event:{payload.event_type}:{payload.event_version}",
        **payload.model_json_schema(by_alias=True, schema_generator=_Generator, mode="validation"),
    }
