"""The API on one page: its routes, the levels that they ask for, and what each takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from fundlyhub.console.api.openapi import whole
from fundlyhub.console.visits import Visit, page


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter or a field of a body: its name, where it stands, and whether it must be there."""

    name: str
    place: str
    required: bool


@dataclass(frozen=True, slots=True)
class Row:
    """A route. ``level`` is the one that it asks for."""

    method: str
    path: str
    group: str
    level: str
    summary: str
    fields: tuple[Field, ...]


@page("/api")
def api(visit: Visit) -> Response:
    """All routes."""
    document = whole()
    return visit.page("api.html", rows=list(_rows(document)), url=str(visit.request.base_url).rstrip("/"))


def _rows(document: Mapping[str, Any]) -> Iterator[Row]:
    for path, methods in document["paths"].items():
        for method, one in methods.items():
            fields = tuple(_fields(one, document["components"]["schemas"]))
            yield Row(method.upper(), path, one["tags"][0], one["x-level"], one["summary"], fields)


def _fields(operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[Field]:
    for one in operation["parameters"]:  # those of the path stand in it
        if one["in"] != "path":
            yield Field(one["name"], one["in"], one["required"])
    if "requestBody" in operation:
        name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        for field in schemas[name]["properties"]:
            yield Field(field, "body", field in schemas[name].get("required", []))
