"""The ASGI app: a route per provider, the unsubscribe page and a health check."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from logging import getLogger
from typing import TypeVar

from sqlalchemy import Connection, Engine
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from fundlyhub.database.faults import DATABASE_ERRORS
from fundlyhub.observability.redaction import describe
from fundlyhub.processors.notifications.delivery_reports import inbox
from fundlyhub.processors.notifications.delivery_reports.effects import Word
from fundlyhub.processors.notifications.unsubscribe import InvalidToken, read_token
from fundlyhub.settings import Settings
from fundlyhub.web.bodies import read_body
from fundlyhub.web.headers import Headers
from fundlyhub.web.limits import Limits
from fundlyhub.web.refusals import Refusal
from fundlyhub.webhooks import sendgrid, twilio, unsubscribe

log = getLogger(__name__)

LARGEST = 4_000_000
"""Maximum bytes of a body: SendGrid sends about a thousand events, in less than 1 MB."""
STRANGERS, READERS = 600, 60
"""Requests per minute and caller: unsigned ones, and those with an unsubscribe link that is none of ours."""

Handler = Callable[[Request], Awaitable[Response]]
T = TypeVar("T")


def make_app(settings: Settings, engine: Engine, stored: Callable[[], None] = lambda: None) -> Starlette:
    """Make the app. A provider without a key has no route. ``stored`` is called after each stored request.

    Raises WrongUse if a key is missing or invalid.
    """
    webhooks = _Webhooks(settings, engine, stored)
    routes = [
        Route("/health", webhooks.health),
        Route("/unsubscribe/{token}", _guarded(webhooks.ask), methods=["GET"]),
        Route("/unsubscribe/{token}", _guarded(webhooks.opt_out), methods=["POST"]),
    ]
    if settings.sendgrid_webhook_key:
        routes.append(Route("/sendgrid/events", _guarded(webhooks.sendgrid), methods=["POST"]))
    if settings.twilio_auth_token:
        routes.append(Route("/twilio/status", _guarded(webhooks.twilio), methods=["POST"]))
    app = Starlette(routes=routes, middleware=[Middleware(Headers)])
    app.router.redirect_slashes = False  # it would redirect to the host that the request names
    return app


class _Webhooks:
    """The request handlers and their shared state."""

    def __init__(self, settings: Settings, engine: Engine, stored: Callable[[], None]) -> None:
        self._stored = stored
        self._settings, self._engine, self._secret = settings, engine, settings.secret
        self._limits = Limits("webhooks", settings.redis if settings.redis_url else None)
        key = settings.sendgrid_webhook_key
        self._sendgrid_key = sendgrid.public_key(key) if key else None

    async def health(self, _: Request) -> Response:
        """Return whether the App DB answers, and the reports that wait there."""
        try:
            reports = await self._write(inbox.waiting)
        except DATABASE_ERRORS:
            return JSONResponse({"ok": False}, 503)
        return JSONResponse({"ok": True, "reports": reports._asdict()})

    async def sendgrid(self, request: Request) -> Response:
        """Store SendGrid's events."""
        body = await read_body(request, LARGEST)
        assert self._sendgrid_key is not None
        try:
            sendgrid.verify(self._sendgrid_key, request.headers, body, now=time.time())
        except Refusal:
            await self._limit(request, "sendgrid", STRANGERS)
            raise
        words = await run_in_threadpool(lambda: list(sendgrid.words(body, self._secret)))
        return await self._store("sendgrid", words)

    async def twilio(self, request: Request) -> Response:
        """Store a status callback of Twilio; the signature covers the public address."""
        form = twilio.form_of(await read_body(request, LARGEST))
        token = self._settings.twilio_auth_token
        assert token is not None
        url = f"{self._settings.public_url.rstrip('/')}/twilio/status?{request.url.query}"
        try:
            twilio.verify(token.get_secret_value(), url, form, request.headers.get(twilio.SIGNATURE, ""))
        except Refusal:
            await self._limit(request, "twilio", STRANGERS)
            raise
        word = twilio.word(request.query_params.get("notification", ""), form, self._secret)
        return await self._store("twilio", [word] if word else [])

    async def ask(self, request: Request) -> Response:
        """Show the page with the unsubscribe button."""
        return await self._page(request, "ask")

    async def opt_out(self, request: Request) -> Response:
        """Unsubscribe: the page's button, or a mail program's one-click request."""
        await read_body(request, LARGEST)
        with suppress(InvalidToken):
            user_id, category = read_token(request.path_params["token"], self._secret)
            await self._write(lambda db: unsubscribe.opt_out(db, user_id, category))
        return await self._page(request, "done")

    async def _page(self, request: Request, what: str) -> Response:
        """The page of a link that we have signed, or one that says it is none of ours.

        Only the latter are limited: a mail service asks for all its users, from a few addresses.
        """
        language = request.headers.get("accept-language", "")
        try:
            _, category = read_token(request.path_params["token"], self._secret)
        except InvalidToken:
            await self._limit(request, "unsubscribe", READERS)
            return HTMLResponse(unsubscribe.page("wrong", None, language), 404, unsubscribe.HEADERS)
        return HTMLResponse(unsubscribe.page(what, category, language), 200, unsubscribe.HEADERS)

    async def _store(self, provider: str, words: Sequence[Word]) -> Response:
        """Store the reports and answer; they are applied later."""
        if not await self._write(lambda db: inbox.store(db, provider, words)):
            log.error("too many delivery reports wait: %s must tell it again", provider)
            raise Refusal(503, "too much waits", retry_after=30)
        self._stored()
        return JSONResponse({"stored": len(words)})

    async def _limit(self, request: Request, route: str, most: int) -> None:
        caller = request.client.host if request.client else "nobody"
        await run_in_threadpool(self._limits.check, route, caller, most)

    async def _write(self, change: Callable[[Connection], T]) -> T:
        def run() -> T:
            with self._engine.begin() as db:
                return change(db)

        return await run_in_threadpool(run)


def _guarded(handler: Handler) -> Handler:
    """Turn a refusal into its status, and a failing database into 503, after which the provider tries again."""

    async def guarded(request: Request) -> Response:
        try:
            return await handler(request)
        except Refusal as refusal:
            headers = {"Retry-After": str(refusal.retry_after)} if refusal.retry_after else None
            return JSONResponse({"error": refusal.reason}, refusal.status, headers)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        except DATABASE_ERRORS as error:
            log.warning("a request waits for its next time: %s", describe(error))
            return JSONResponse({"error": "not now"}, 503, {"Retry-After": "30"})

    return guarded
