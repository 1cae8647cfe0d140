"""A visit: one request of somebody who is signed in, and what a page needs to answer it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from fundlyhub.console.access import Access
from fundlyhub.console.levels import Level
from fundlyhub.console.rendering import render
from fundlyhub.console.sessions import Visitor
from fundlyhub.web.refusals import Refusal


@dataclass(frozen=True, slots=True)
class Visit(Access):
    """One request for a page. ``form`` holds the fields of a POST; of a field that comes several times, the last."""

    request: Request
    visitor: Visitor
    form: Mapping[str, str]

    @property
    def is_fragment(self) -> bool:
        """Whether a part of a page asks for itself anew, and not a browser for a whole page."""
        return self.request.headers.get("hx-request") == "true"

    def given(self, name: str) -> str:
        """A parameter of the address, without surrounding spaces; empty if it is not there."""
        return _text(self.request.query_params.get(name, ""))

    def path(self, name: str) -> str:
        """A part of the path."""
        return _text(str(self.request.path_params[name]))

    def number(self, name: str) -> int:
        """A part of the path that is an id of ours. Raises Refusal, as for a page that is not there."""
        text = self.path(name)
        if not (text.isascii() and text.isdigit() and len(text) <= 18):
            raise Refusal(404, "there is no such page")
        return int(text)

    def given_number(self, name: str) -> int | None:
        """An id of ours in the address; None if it is not there. Raises Refusal for another text."""
        text = self.given(name)
        if text and not (text.isascii() and text.isdigit() and len(text) <= 18):
            raise Refusal(400, f"{name} must be a number")
        return int(text) if text else None

    def field(self, name: str) -> str:
        """A field of the form, without surrounding spaces; empty if it is not there."""
        return _text(self.form.get(name, ""))

    def pages(self) -> Sequence[tuple[str, str]]:
        """The pages of the menu that the visitor may see."""
        return (*MENU, *(OPERATORS_MENU if self.may("operator") else ()))

    def is_at(self, path: str) -> bool:
        """Whether this is a page of the menu, or one below it."""
        here = self.request.url.path
        return here == path or (path != "/" and here.startswith(f"{path}/"))

    def paused(self) -> list[str]:
        """The processors that are paused, as of the last snapshot."""
        latest = self.site.snapshots.latest()
        paused = latest.by("fundlyhub_processor_paused") if latest else {}
        return sorted({name for (name, _), is_paused in paused.items() if is_paused})

    def page(self, template: str, status: int = 200, **values: Any) -> Response:
        """The answer: a template below templates/, which finds ``visit`` beside the given values."""
        said = self._said()
        answer = HTMLResponse(render(template, visit=self, said=said, **values), status)
        if said:
            answer.delete_cookie(SAID, path="/", httponly=True)
        return answer

    def go(self, path: str, said: str = "") -> Response:
        """Send the browser to another page of ours after something was done, which says what that was."""
        if not path.startswith("/") or path.startswith("//"):
            raise ValueError(f"{path} is no path of ours")
        answer = RedirectResponse(path, 303)
        if said:
            answer.set_cookie(SAID, urlencode({"": said})[1:], max_age=60, httponly=True, samesite="lax", path="/")
        return answer

    def with_query(self, **changed: str | int | None) -> str:
        """This page's address with other parameters; None takes one away."""
        given = {**self.request.query_params, **changed}
        query = urlencode({name: value for name, value in given.items() if value not in (None, "")})
        return f"{self.request.url.path}?{query}" if query else self.request.url.path

    def _said(self) -> str:
        if self.is_fragment:
            return ""
        return dict(parse_qsl("=" + self.request.cookies.get(SAID, ""))).get("", "")[:500]


def _text(given: str) -> str:
    """What somebody typed, without surrounding spaces, and with nothing that PostgreSQL cannot hold."""
    return given.strip().replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


MENU = (
    ("/", "Overview"),
    ("/processors", "Processors"),
    ("/events", "Events"),
    ("/letters", "Dead letters"),
    ("/breakers", "Breakers"),
    ("/messages", "Messages"),
    ("/streams", "Streams"),
    ("/rebuilds", "Rebuilds"),
    ("/verify", "Verify"),
    ("/audit", "Audit"),
    ("/api", "API"),
)
"""Path and title of each page of the menu."""
OPERATORS_MENU = (("/settings", "Settings"),)
"""The same for pages that operators alone may see."""

SAID = "fundlyhub_said"
"""The cookie that carries what an action did to the page that comes after it. The layout shows it, once."""

Handler = Callable[[Visit], Response]


@dataclass(frozen=True, slots=True)
class Page:
    """A route: its path, its function, and the level that it asks for. One that changes something is a ``POST``.

    What ``asks_why`` has the field ``reason``, and is refused without one.
    """

    path: str
    handler: Handler
    needs: Level = "viewer"
    method: Literal["GET", "POST"] = "GET"
    asks_why: bool = False


PAGES: list[Page] = []
"""Every route that asks for a session. The app has no other way to make one."""


def page(
    path: str, needs: Level = "viewer", method: Literal["GET", "POST"] = "GET", *, asks_why: bool = True
) -> Callable[[Handler], Handler]:
    """Make a function the answer to requests for a path.

    A ``POST`` is refused without a reason, unless ``asks_why`` is False: for what only looks, and for what stops.
    """

    def enter(handler: Handler) -> Handler:
        PAGES.append(Page(path, handler, needs, method, asks_why and method == "POST"))
        return handler

    return enter
