"""Turns routes of the API into endpoints: who calls, whether they may, what they sent; and the answer as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import orjson
from pydantic import BaseModel, ValidationError
from starlette import routing
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from fundlyhub.console.access import Site
from fundlyhub.console.api.bearers import Bearers
from fundlyhub.console.api.problems import Fault, Faulty, faults, of_refusal
from fundlyhub.console.api.routing import PREFIX, Call, Route
from fundlyhub.console.errors import errors_for_people
from fundlyhub.console.levels import allows
from fundlyhub.console.tokens import Bearer
from fundlyhub.errors import InvalidEvent
from fundlyhub.events.rules import parse_json
from fundlyhub.printable import printable_json
from fundlyhub.web.bodies import read_body
from fundlyhub.web.refusals import Refusal

LARGEST = 1_000_000
"""Bytes of a body: a payload may have a quarter of a megabyte."""


class Api:
    """The API of one site."""

    def __init__(self, site: Site) -> None:
        self._site, self._bearers = site, Bearers(site.settings)

    def routes(self, table: Sequence[Route]) -> list[routing.Route]:
        """The routes of a table as Starlette's."""
        return [routing.Route(f"{PREFIX}{one.path}", self._of(one), methods=[one.method]) for one in table]

    def _of(self, route: Route) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            try:
                bearer = await run_in_threadpool(self._allowed, route, request)
                body = await _body(request) if route.method == "POST" else b""
                return await run_in_threadpool(self._answer, route, request, bearer, body)
            except Refusal as refusal:
                return of_refusal(refusal)
            except ClientDisconnect:
                return Response(status_code=400)  # nobody is there to read it

        return endpoint

    def _allowed(self, route: Route, request: Request) -> Bearer:
        bearer = self._bearers.of(request)
        if not allows(bearer.level, route.needs):
            raise Refusal(403, f"this is for the level {route.needs}, and this token is {bearer.level}")
        return bearer

    def _answer(self, route: Route, request: Request, bearer: Bearer, body: bytes) -> Response:
        given: dict[str, BaseModel] = {}
        params = _params(route, request)
        if route.takes_params:
            given["params"] = params
        sent: Mapping[str, Any] = {}
        if route.body is not None:
            sent, given["body"] = _parsed(route.body, body)
        elif body.strip() not in (b"", b"{}"):
            raise Refusal(400, "this takes no body")
        call = Call(self._site, bearer.who, bearer.level, sent)
        with errors_for_people(route.method):
            try:
                answer = route.handler(call, **given)
            except InvalidEvent as error:
                reasons = [Fault(where="payload", detail=reason) for reason in error.reasons]
                raise Faulty(422, "the payload is not valid", reasons) from None
        return as_json(answer, route.status, {"Location": route.look_at(params, answer)} if route.begins else {})


def as_json(answer: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer as JSON. Control signs in its texts are escaped: terminals show it, too."""
    text = orjson.dumps(answer, default=_plain).decode()
    return Response(printable_json(text), status, headers, media_type="application/json")


async def _body(request: Request) -> bytes:
    body = await read_body(request, LARGEST)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and body:
        raise Refusal(415, "send JSON, as application/json")
    return body


def _params(route: Route, request: Request) -> BaseModel:
    """The parameters of path and query. Raises Refusal: 404 for a path that leads nowhere, 400 for a wrong query."""
    asked = request.query_params.multi_items()
    given = dict(asked)
    if len(given) != len(asked) or given.keys() & request.path_params.keys():
        raise Refusal(400, "a parameter is given twice")
    path = {name: str(value) for name, value in request.path_params.items()}
    try:
        return route.params.model_validate_strings({**given, **path})
    except ValidationError as error:
        if any(one["loc"][:1] and one["loc"][0] in path for one in error.errors()):
            raise Refusal(404, "there is no such thing") from None
        raise Faulty(400, "the parameters are not right", faults(error)) from None


def _parsed(wanted: type[BaseModel], body: bytes) -> tuple[Mapping[str, Any], BaseModel]:
    """The body as it was sent, and checked."""
    try:
        sent = parse_json(body)
    except InvalidEvent as error:
        raise Refusal(400, f"the body {error}") from None
    try:
        return sent, wanted.model_validate_json(body, strict=True)
    except ValidationError as error:
        raise Faulty(422, "the body is not right", faults(error)) from None


def _plain(value: object) -> object:
    """What orjson does not know by itself."""
    if isinstance(value, BaseModel):
        return dict(value)
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError(type(value).__name__)
