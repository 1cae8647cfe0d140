"""Signing in: by password, by a link that is good once, or by the user that a trusted proxy names; and signing out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from fundlyhub.console import sessions, users
from fundlyhub.console.errors import LOOKING
from fundlyhub.console.guarding import Guard, cookie_name, is_from_here, parsed, set_session
from fundlyhub.console.rendering import render
from fundlyhub.database import get_engine
from fundlyhub.database.console_audit import note
from fundlyhub.database.deadlines import at_most
from fundlyhub.database.faults import NO_ANSWER
from fundlyhub.errors import Unavailable, WrongState
from fundlyhub.settings import Settings
from fundlyhub.web.limits import Limits
from fundlyhub.web.refusals import Refusal

OF_A_CALLER, OF_A_NAME = 20, 10
"""Attempts a minute to sign in, from one address and with one name."""

WRONG = "The name or the password is wrong, or the user is disabled."
_Handler = Callable[[Request, dict[str, str]], Response]
USED = "This link has been used, or is too old. Ask for another: fundlyhub console link NAME"


class SigningIn:
    """The routes that nobody has to be signed in for."""

    def __init__(self, settings: Settings, guard: Guard) -> None:
        self._settings, self._guard = settings, guard
        self._limits = Limits("console", settings.redis if settings.redis_url else None)

    def routes(self) -> list[Route]:
        """The routes."""
        return [
            Route("/sign-in", self._thread(self.ask), methods=["GET"]),
            Route("/sign-in", self._thread(self.enter), methods=["POST"]),
            Route("/sign-in/link/{token}", self._thread(self.ask_link), methods=["GET"]),
            Route("/sign-in/link/{token}", self._thread(self.enter_by_link), methods=["POST"]),
            Route("/sign-out", self._thread(self.leave), methods=["POST"]),
        ]

    def ask(self, request: Request, form: dict[str, str]) -> Response:
        """The form; who is signed in already, or whom a trusted proxy names, goes on to the first page."""
        with suppress(Refusal):
            if self._guard.visitor(request) is not None:
                return RedirectResponse("/", 303)
        if name := self._guard.named_by_proxy(request):
            return self._enter(request, lambda db: sessions.begin(db, name, "proxy"), "")
        return self._form()

    def enter(self, request: Request, form: dict[str, str]) -> Response:
        """Sign in with name and password."""
        name, password = form.get("name", "").strip()[:64], form.get("password", "")
        self._check(request, name)

        def begin(db: Connection) -> str | None:
            if users.verify(db, name, password):
                return sessions.begin(db, name, "password")
            note(db, "?", who="console", action="refused", details=None)
            return None

        return self._enter(request, begin, WRONG)

    def ask_link(self, request: Request, form: dict[str, str]) -> Response:
        """A page with a button: what only opens links, as a scanner does, uses none up."""
        return HTMLResponse(render("sign_in_link.html", path=request.url.path))

    def enter_by_link(self, request: Request, form: dict[str, str]) -> Response:
        """Sign in with a link, which is used up."""
        self._check(request, "")
        return self._enter(request, lambda db: sessions.take_link(db, request.path_params["token"]), USED)

    def leave(self, request: Request, form: dict[str, str]) -> Response:
        """End the session, and forget it in the browser."""
        visitor = self._guard.visitor(request)
        if visitor is not None:
            if not (is_from_here(request) and visitor.has_sent(form.get("csrf", ""))):
                raise Refusal(403, "this request did not come from a page of this console")
            with get_engine("events").begin() as db:
                sessions.end(db, visitor.token)
            self._guard.forget(visitor.token)
        answer = RedirectResponse("/sign-in", 303)
        answer.delete_cookie(cookie_name(request), path="/", secure=request.url.scheme == "https", httponly=True)
        return answer

    def _enter(self, request: Request, begin: Callable[[Connection], str | None], refused: str) -> Response:
        """Begin a session with a token of its own, whatever cookie the browser brought."""
        try:
            with get_engine("events").begin() as db:
                token = begin(db)
        except WrongState:
            token, refused = None, WRONG
        if token is None:
            return self._form(refused, 401)
        answer = RedirectResponse("/", 303)
        set_session(answer, request, token)
        return answer

    def _form(self, refused: str = "", status: int = 200) -> Response:
        return HTMLResponse(render("sign_in.html", refused=refused), status)

    def _check(self, request: Request, name: str) -> None:
        if not is_from_here(request):
            raise Refusal(403, "this request did not come from a page of this console")
        self._limits.check("sign-in", request.client.host if request.client else "nobody", OF_A_CALLER)
        if name:
            self._limits.check("sign-in-name", name, OF_A_NAME)

    def _answer(self, handler: _Handler, request: Request, form: dict[str, str]) -> Response:
        with at_most(LOOKING):
            return handler(request, form)

    def _thread(self, handler: _Handler) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            form = await parsed(request) if request.method == "POST" else {}
            try:
                return await run_in_threadpool(self._answer, handler, request, form)
            except NO_ANSWER:
                raise Refusal(503, "the Events DB does not answer, so nobody can sign in") from None
            except Unavailable as error:
                raise Refusal(503, str(error)) from error

        return endpoint
