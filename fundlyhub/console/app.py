"""The ASGI app: sign-in, the pages of visitors who may see them, and files that never change."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from logging import getLogger
from threading import Event
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from fundlyhub.console import rendering
from fundlyhub.console.access import Site
from fundlyhub.console.api import ROUTES
from fundlyhub.console.api.answering import Api
from fundlyhub.console.api.problems import problem
from fundlyhub.console.errors import errors_for_people
from fundlyhub.console.guarding import Guard, is_from_here, parsed
from fundlyhub.console.levels import allows
from fundlyhub.console.pace import HEADER
from fundlyhub.console.pages import PAGES
from fundlyhub.console.rendering import render
from fundlyhub.console.signing_in import SigningIn
from fundlyhub.console.snapshots import Snapshots
from fundlyhub.console.visits import Page, Visit
from fundlyhub.database.audited import reasoned
from fundlyhub.observability.redaction import describe
from fundlyhub.processing.processor import Processor
from fundlyhub.settings import Settings
from fundlyhub.web.headers import Headers
from fundlyhub.web.refusals import Refusal

log = getLogger(__name__)

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
FOREVER = "public, max-age=31536000, immutable"


def make_app(settings: Settings, processors: dict[str, type[Processor]], stop: Event | None = None) -> Starlette:
    """Make the app. With ``stop``, a thread keeps a point a minute for the charts until it is set.

    Raises WrongUse if a setting is missing.
    """
    snapshots = Snapshots(settings, processors)
    if stop is not None:
        snapshots.keep(stop)
    guard = Guard(settings)
    site = Site(settings, processors, snapshots)
    console = _Console(site, guard)
    signing_in = SigningIn(settings, guard)
    routes = [
        Route("/health", _health),
        Route("/static/{digest}/{name}", _static),
        *signing_in.routes(),
        *Api(site).routes(ROUTES),
        *(Route(page.path, console.of(page), methods=[page.method]) for page in PAGES),
    ]
    errors: dict[Any, Any] = {HTTPException: _refused, Refusal: _refused, Exception: _failed}
    # With "no-referrer" browsers say of a form's origin only "null".
    policy = {"Content-Security-Policy": CONTENT_SECURITY_POLICY, "Referrer-Policy": "same-origin"}

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(site.verifications.stop, close=True)

    middleware = [Middleware(Headers, more=policy)]
    app = Starlette(routes=routes, exception_handlers=errors, middleware=middleware, lifespan=lifespan)
    app.router.redirect_slashes = False  # it would redirect to the host that the request names
    return app


class _Console:
    """Turns pages into endpoints: who asks, whether they may, and in a thread, since pages speak to databases."""

    def __init__(self, site: Site, guard: Guard) -> None:
        self._site, self._guard = site, guard

    def of(self, page: Page) -> Callable[[Request], Any]:
        """The endpoint of a page."""

        async def endpoint(request: Request) -> Response:
            form = await parsed(request) if page.method == "POST" else {}
            try:
                return await run_in_threadpool(self._answer, page, request, form)
            except ClientDisconnect:
                return Response(status_code=400)  # nobody is there to read it

        return endpoint

    def _answer(self, page: Page, request: Request, form: dict[str, str]) -> Response:
        began = time.thread_time()
        visitor = self._guard.visitor(request)
        if visitor is None:
            return _to_sign_in(request, page)
        if page.method == "POST" and not (
            is_from_here(request) and visitor.has_sent(form.get("csrf", "") or request.headers.get("x-csrf-token", ""))
        ):
            raise Refusal(403, "this request did not come from a page of this console: load the page anew")
        if not allows(visitor.level, page.needs):
            raise Refusal(403, f"this is for the level {page.needs}, and {visitor.name} is {visitor.level}")
        visit = Visit(self._site, visitor.name, visitor.level, request, visitor, form)
        with errors_for_people(page.method):
            if page.asks_why:
                reasoned(visit.field("reason"))
            answer = page.handler(visit)
        if visit.is_fragment and page.method == "GET":
            answer.headers[HEADER] = f"{self._site.pace.again(time.thread_time() - began):.2f}"
        return answer


def _to_sign_in(request: Request, page: Page) -> Response:
    """To the sign-in page, and from there back; what asks for a part of a page is told in short."""
    if page.method == "POST" or request.headers.get("hx-request"):
        raise Refusal(401, "sign in first")
    return RedirectResponse("/sign-in", 303)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException | Refusal)
    if isinstance(error, Refusal):
        return _error(request, error.status, error.reason)
    reason = "there is no such page" if error.status_code == 404 else ""
    return _error(request, error.status_code, reason, error.headers)


async def _failed(request: Request, error: Exception) -> Response:
    log.error("a request failed: %s", describe(error))
    return _error(request, 500, "the console itself has failed here; its log says more")


def _error(request: Request, status: int, reason: str, headers: Mapping[str, str] | None = None) -> Response:
    if request.url.path.startswith("/api/"):
        return problem(status, reason, headers=headers)
    template = "parts/refused.html" if request.headers.get("hx-request") else "error.html"
    return HTMLResponse(render(template, status=status, reason=reason), status, headers)


async def _health(_: Request) -> Response:
    """Whether this process answers; nothing about the platform, for anybody may ask."""
    return Response("ok\n", media_type="text/plain")


async def _static(request: Request) -> Response:
    name, digest = request.path_params["name"], request.path_params["digest"]
    found = rendering.assets().get(name)
    if found is None or found[1] != digest:
        raise HTTPException(404)
    kind = rendering.content_type(name)
    return Response(found[0], media_type=kind, headers={"Cache-Control": FOREVER})
