"""The OpenAPI document says what the routes do: each of them, its level, its parameters, its body and its answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
import schemathesis

from fundlyhub.console.api import ROUTES
from fundlyhub.console.api.openapi import whole
from fundlyhub.console.api.routing import PREFIX, Route
from fundlyhub.console.choosing import FIELDS
from fundlyhub.database.decisions import KINDS
from tests.console.callers import caller
from tests.console.site import Site


def operation(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = whole()["paths"][f"{PREFIX}{route.path}"][route.method.lower()]
    return found


def test_each_route_stands_in_the_document_and_no_other() -> None:
    said = {(method.upper(), path) for path, methods in whole()["paths"].items() for method in methods}
    assert said == {(route.method, f"{PREFIX}{route.path}") for route in ROUTES}
    assert len({route.name for route in ROUTES}) == len(ROUTES)
    refs = {word for word in json.dumps(whole()).split('"') if word.startswith("#/components/schemas/")}
    assert {ref.rpartition("/")[2] for ref in refs} == set(whole()["components"]["schemas"])


def test_it_is_what_the_schema_of_openapi_wants() -> None:
    schemathesis.openapi.from_dict(whole()).validate()
    wrong = json.loads(json.dumps(whole()))
    wrong["paths"][f"{PREFIX}/audit"]["get"]["responses"] = {"200": {}}
    with pytest.raises(Exception, match="is a required property"):
        schemathesis.openapi.from_dict(wrong).validate()


@pytest.mark.parametrize("route", [pytest.param(one, id=f"{one.method} {one.path}") for one in ROUTES])
def test_it_says_of_a_route_what_its_function_takes(route: Route) -> None:
    said = operation(route)
    assert said["x-level"] == route.needs
    assert said["summary"].endswith(".")
    fields = route.params.model_fields
    assert {one["name"] for one in said["parameters"]} == set(fields)
    assert {one["name"] for one in said["parameters"] if one["in"] == "path"} == set(route.in_path)
    assert all(one["required"] == fields[one["name"]].is_required() for one in said["parameters"])
    assert set(route.in_path) <= set(fields)
    assert (route.body is not None) == ("requestBody" in said)
    (done,) = (status for status in said["responses"] if status.startswith("2"))
    assert done == str(route.status) == ("202" if route.begins else "200")
    assert said["responses"][done]["content"]["application/json"]["schema"]
    assert ("Location" in said["responses"][done].get("headers", {})) == bool(route.begins)
    if route.method == "POST" and route.needs == "privacy":
        assert route.body is not None
        assert route.body.model_fields["reason"].is_required()


def test_what_is_said_twice_is_the_same() -> None:
    kinds = next(one for one in operation(of("audit_audit"))["parameters"] if one["name"] == "kind")
    assert tuple(kinds["schema"]["enum"]) == KINDS
    assert set(FIELDS) < {one["name"] for one in operation(of("letters_letters"))["parameters"]}


def of(name: str) -> Route:
    return next(route for route in ROUTES if route.name == name)


def test_a_caller_gets_it_and_a_visitor_reads_it_as_a_page(site: Site) -> None:
    assert caller(site, "viewer").get("/openapi.json").json() == json.loads(json.dumps(whole()))
    page = site.visitor("viewer").get("/api").text
    for route in ROUTES:
        assert f"<code>{route.method} {PREFIX}{route.path}</code>" in page
    assert "<code>payload*</code>" in page
