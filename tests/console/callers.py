"""Callers of the API, each with a token of their own."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any
from uuid import uuid4

import httpx
import schemathesis

from fundlyhub.console import tokens
from fundlyhub.console.api import ROUTES
from fundlyhub.console.api.openapi import whole
from fundlyhub.console.api.routing import PREFIX, Route
from fundlyhub.console.levels import Level
from fundlyhub.database import get_engine
from tests.console.site import Site

VALUES = {"name": "campaign_stats", "id": "00000000-0000-0000-0000-000000000001"}
"""Values of parameters that are no number."""


class Caller:
    """A program with a token; its answers are problem details, or JSON."""

    def __init__(self, client: httpx.Client, token: str) -> None:
        self.client, self.token = client, token
        client.headers["Authorization"] = f"Bearer {token}"

    @cached_property
    def who(self) -> str:
        """The name in audits."""
        with get_engine("events").begin() as db:
            found = tokens.find(db, self.token)
        assert found is not None
        return found.who

    def get(self, path: str, **params: str) -> httpx.Response:
        """A route below /api/v1."""
        return as_said(self.client.get(f"{PREFIX}{path}", params=params))

    def post(self, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        """The same with a body."""
        return as_said(self.client.post(f"{PREFIX}{path}", json=body or {}))


def as_said(answer: httpx.Response) -> httpx.Response:
    """The answer, which is as the OpenAPI document says. Raises what schemathesis finds."""
    path = answer.request.url.path
    found = next((one for one in ROUTES if one.method == answer.request.method and matches(one, path)), None)
    if found is not None:
        schemathesis.openapi.from_dict(whole())[f"{PREFIX}{found.path}"][found.method].validate_response(answer)
    return answer


def matches(route: Route, path: str) -> bool:
    """Whether an address leads to a route."""
    return re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", f"{PREFIX}{route.path}"), path) is not None


def caller(site: Site, level: Level) -> Caller:
    """A caller with a new token of the user of this level."""
    return Caller(site.anonymous(), new_token(level))


def new_token(user: str, level: Level | None = None) -> str:
    """A new token of a user."""
    with get_engine("events").begin() as db:
        return tokens.add(db, f"t-{uuid4().hex}", user, days=1, level=level, who="test")


def path_of(route: Route) -> str:
    """An address that a route matches."""
    path = route.path
    for name in route.in_path:
        kind = VALUES["id"] if "messages/{id}" in path else VALUES.get(name, "1") if name == "name" else "1"
        path = path.replace(f"{{{name}}}", kind)
    return f"{PREFIX}{path}"


def send(client: httpx.Client, route: Route, **more: Any) -> httpx.Response:
    """A request that a route matches; its body is empty JSON."""
    if route.method == "POST":
        more["json"] = {}
    return client.request(route.method, path_of(route), **more)
