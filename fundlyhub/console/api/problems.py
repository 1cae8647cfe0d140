"""Errors of the API as problem details (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus

import orjson
from pydantic import BaseModel, ValidationError
from starlette.responses import Response

from fundlyhub.printable import printable_json
from fundlyhub.web.refusals import Refusal

MEDIA_TYPE = "application/problem+json"
LISTED = 50
"""Faults of one request that are listed at most."""


class Fault(BaseModel):
    """One thing that is wrong with what was sent: where, as in ``payload.amount``, and what."""

    where: str
    detail: str


class Problem(BaseModel):
    """Why a request was refused. ``errors`` lists what is wrong with what was sent, if that is why."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[Fault] = []


class Faulty(Refusal):
    """A request whose parameters, body or payload are wrong."""

    def __init__(self, status: int, reason: str, faults: Sequence[Fault]) -> None:
        super().__init__(status, reason)
        self.faults = faults[:LISTED]


def faults(error: ValidationError) -> list[Fault]:
    """What pydantic found, without the values that were sent."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return [Fault(where=".".join(map(str, one["loc"]))[:200], detail=one["msg"][:500]) for one in found]


def problem(
    status: int, detail: str, faults: Sequence[Fault] = (), headers: Mapping[str, str] | None = None
) -> Response:
    """The answer to a refused request."""
    title = HTTPStatus(status).phrase
    said = Problem(title=title, status=status, detail=detail or title, errors=list(faults))
    more = {"WWW-Authenticate": 'Bearer realm="fundlyhub console"'} if status == 401 else {}
    text = printable_json(orjson.dumps(said.model_dump()).decode())
    return Response(text, status, headers={**more, **(headers or {})}, media_type=MEDIA_TYPE)


def of_refusal(refusal: Refusal) -> Response:
    """The same for a refusal."""
    wait = {} if refusal.retry_after is None else {"Retry-After": str(refusal.retry_after)}
    return problem(refusal.status, refusal.reason, refusal.faults if isinstance(refusal, Faulty) else (), wait)
