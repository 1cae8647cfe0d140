"""The OpenAPI document (3.1), made from the table of routes and from the classes that their functions name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from fundlyhub.console.api.problems import MEDIA_TYPE, Problem
from fundlyhub.console.api.routing import PREFIX, ROUTES, Call, Route, route

WORDS = """
What the pages of the console show and do, as JSON. Send a token (`fundlyhub console token add`) as
`Authorization: Bearer TOKEN`. Lists go on with the parameter `page`, which is `next` of the page before. Every change
stands in the audit under the name USER/TOKEN, and may be sent again. What goes on beside the request is answered with
202; `Location` is where to look. Errors are problem details
(RFC 9457). `x-level` is the level that a route asks for.
"""
REFUSALS = {
    "400": "A parameter is wrong, or this cannot be asked.",
    "401": "The token is missing, unknown, disabled or over.",
    "403": "The token's level does not suffice.",
    "404": "There is no such thing.",
    "409": "It is in a state in which this cannot be done.",
    "413": "The body is too large.",
    "415": "The body is not called JSON.",
    "422": "The body is not right; `errors` says where.",
    "429": "Too many requests without a good token.",
    "503": "A server does not answer; nothing was changed.",
}
_REF = "#/components/schemas/{model}"

Schemas = Mapping[tuple[str, JsonSchemaMode], Any]


@route("GET", "/openapi.json")
def openapi(call: Call) -> Mapping[str, Any]:
    """Show this document."""
    return whole()


@cache
def whole() -> dict[str, Any]:
    """The document of the whole API."""
    return document(ROUTES)


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """The document of a table of routes."""
    wanted: list[tuple[str, JsonSchemaMode, TypeAdapter[Any]]] = [("problem", "serialization", TypeAdapter(Problem))]
    for one in routes:
        wanted.append((f"{one.name} answer", "serialization", TypeAdapter(one.answer)))
        if one.body is not None:
            wanted.append((f"{one.name} body", "validation", TypeAdapter(one.body)))
    schemas, shared = TypeAdapter.json_schemas(wanted, ref_template=_REF)
    known: dict[str, Any] = shared.get("$defs", {})
    paths: dict[str, dict[str, Any]] = {}
    for one in routes:
        paths.setdefault(f"{PREFIX}{one.path}", {})[one.method.lower()] = _operation(one, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "FundlyHub console", "version": version("fundlyhub"), "description": WORDS.strip()},
        "paths": paths,
        "components": {
            "schemas": known,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }


def _operation(route: Route, schemas: Schemas) -> dict[str, Any]:
    summary, _, rest = route.text.partition("\n")
    found: dict[str, Any] = {
        "operationId": route.name, "tags": [route.group], "summary": summary, "x-level": route.needs,
        "parameters": list(_parameters(route)),
        "responses": {
            str(route.status): _done(route, schemas),
            **{
                status: {"description": why, "content": _content(schemas["problem", "serialization"], MEDIA_TYPE)}
                for status, why in REFUSALS.items()
            },
        },
    }  # fmt: skip
    if rest.strip():
        found["description"] = rest.strip()
    if route.body is not None:
        found["requestBody"] = {"required": True, "content": _content(schemas[f"{route.name} body", "validation"])}
    return found


def _done(route: Route, schemas: Schemas) -> dict[str, Any]:
    content = _content(schemas[f"{route.name} answer", "serialization"])
    if not route.begins:
        return {"description": "Done.", "content": content}
    location = {"required": True, "schema": {"type": "string"}, "description": f"{PREFIX}{route.begins}"}
    said = "Begun: it goes on beside the request. `Location` tells how far it is."
    return {"description": said, "headers": {"Location": location}, "content": content}


def _parameters(route: Route) -> Iterator[dict[str, Any]]:
    schema = TypeAdapter(route.params).json_schema()
    required = schema.get("required", [])
    for name, one in schema.get("properties", {}).items():
        place = "path" if name in route.in_path else "query"
        said = {"description": one["description"]} if "description" in one else {}
        # Null stands for a parameter that is not given: no address can say it.
        yield {"name": name, "in": place, "required": name in required, **said, "schema": _given(one)}


def _given(schema: Mapping[str, Any]) -> dict[str, Any]:
    kinds = [one for one in schema.get("anyOf", []) if one != {"type": "null"}]
    if len(kinds) == 1:
        schema = {**{name: one for name, one in schema.items() if name != "anyOf"}, **kinds[0]}
    return {name: one for name, one in schema.items() if name != "default" or one is not None}


def _content(schema: Mapping[str, Any], kind: str = "application/json") -> dict[str, Any]:
    return {kind: {"schema": schema}}
