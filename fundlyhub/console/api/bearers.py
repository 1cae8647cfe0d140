"""Who calls the API: the user of a bearer token. Cookies do not count, so that no page of others can act here."""

from __future__ import annotations

from starlette.requests import Request

from fundlyhub.console import tokens
from fundlyhub.console.guarding import LOOK_UP
from fundlyhub.console.tokens import Bearer
from fundlyhub.database import get_engine
from fundlyhub.database.deadlines import at_most
from fundlyhub.database.faults import NO_ANSWER
from fundlyhub.settings import Settings
from fundlyhub.web.limits import Limits
from fundlyhub.web.refusals import Refusal

FAILURES = 30
"""Requests without a good token that one address may send a minute."""


class Bearers:
    """Finds the bearer of a request's token, and counts requests that have none."""

    def __init__(self, settings: Settings) -> None:
        self._limits = Limits("console", settings.redis if settings.redis_url else None)

    def of(self, request: Request) -> Bearer:
        """Who calls. Raises Refusal for a token that is not good, and when nobody can look it up."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        found = self._find(token.strip()) if scheme.lower() == "bearer" else None
        if found is None:
            self._limits.check("api-token", request.client.host if request.client else "nobody", FAILURES)
            raise Refusal(401, "send a token as `Authorization: Bearer TOKEN`; this one is missing, unknown or over")
        return found

    def _find(self, token: str) -> Bearer | None:
        try:
            with at_most(LOOK_UP), get_engine("events").begin() as db:
                return tokens.find(db, token)
        except NO_ANSWER:
            raise Refusal(503, "the Events DB does not answer, so no token can be checked") from None
