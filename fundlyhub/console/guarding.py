"""Who asks: the session of a cookie, or the user that a trusted proxy names; and whether a request is one of ours."""

from __future__ import annotations

import time
from collections import OrderedDict
from threading import Lock
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from fundlyhub.console import sessions
from fundlyhub.console.sessions import LONGEST, Visitor
from fundlyhub.database import get_engine
from fundlyhub.database.deadlines import at_most
from fundlyhub.database.faults import NO_ANSWER
from fundlyhub.forks import in_each_process
from fundlyhub.settings import Settings
from fundlyhub.web.bodies import read_body
from fundlyhub.web.refusals import Refusal
from fundlyhub.web.serving import TRUSTED

LARGEST = 2_000_000
"""Bytes of a form: a payload that is edited may have a quarter of a megabyte, and is longer when it is encoded."""
FIELDS = 200
LOOK_UP = 2.0
"""Seconds for which the Events DB may take to look a session up."""
AWAY = 2.0
"""Seconds after a look-up has failed in which pages that only look go by what is remembered."""
RECENT = 1.0
"""Seconds for which a session that was looked up is good for the parts of a page that load themselves anew."""
REMEMBERED = 600.0
"""Seconds for which a session counts after it was last looked up, while the Events DB does not answer."""
_MANY = 1_000


class Guard:
    """Finds the visitor of a request."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        in_each_process(self._begin)

    def _begin(self) -> None:
        self._lock = Lock()
        self._seen: OrderedDict[str, tuple[Visitor, float]] = OrderedDict()
        self._away_until = 0.0

    def visitor(self, request: Request) -> Visitor | None:
        """Who asks; None for nobody that we know.

        While the Events DB is away, who was known a short time ago is still known, to see what is wrong.
        """
        token = request.cookies.get(cookie_name(request), "")
        found = self._found(token, request) if token else None
        if found is not None and found.via == "proxy" and self.named_by_proxy(request) != found.name:
            return None  # the proxy has signed this user out, or somebody else in
        return found

    def forget(self, token: str) -> None:
        """Look this session up at the next request: it has ended."""
        with self._lock:
            self._seen.pop(token, None)

    def _found(self, token: str, request: Request) -> Visitor | None:
        now = time.monotonic()
        if request.method == "GET":
            if now < self._away_until:
                return self._remembered(token)
            if request.headers.get("hx-request") and (recent := self._recent(token, now)):
                return recent
        try:
            with at_most(LOOK_UP), get_engine("events").begin() as db:
                found = sessions.find(db, token)
        except NO_ANSWER:
            self._away_until = time.monotonic() + AWAY
            return self._remembered(token)
        self._away_until = 0.0
        self._keep(token, found)
        return found

    def _keep(self, token: str, found: Visitor | None) -> None:
        with self._lock:
            self._seen.pop(token, None)
            if found is not None:
                self._seen[token] = found, time.monotonic()
                while len(self._seen) > _MANY:
                    self._seen.popitem(last=False)

    def _recent(self, token: str, now: float) -> Visitor | None:
        with self._lock:
            visitor, at = self._seen.get(token, (None, 0.0))
        return visitor if now - at < RECENT else None

    def named_by_proxy(self, request: Request) -> str | None:
        """Whom the proxy before us has signed in; nobody unless it is trusted."""
        header = self._settings.console_proxy_header
        if not header or not request.scope.get(TRUSTED):
            return None
        return request.headers.get(header, "").strip()[:64] or None

    def _remembered(self, token: str) -> Visitor:
        with self._lock:
            visitor, at = self._seen.get(token, (None, 0.0))
        if visitor is None or time.monotonic() - at > REMEMBERED:
            raise Refusal(503, "the Events DB does not answer, so nobody can be signed in; see `fundlyhub health`")
        return visitor


def cookie_name(request: Request) -> str:
    """The session's cookie. Behind TLS the browser itself ties it to this host."""
    return "__Host-fundlyhub" if request.url.scheme == "https" else "fundlyhub_session"


def set_session(response: Response, request: Request, token: str) -> None:
    """Give the browser a session."""
    response.set_cookie(
        cookie_name(request), token, max_age=int(LONGEST.total_seconds()), path="/", httponly=True, samesite="lax",
        secure=request.url.scheme == "https",
    )  # fmt: skip


def is_from_here(request: Request) -> bool:
    """Whether a page of ours sent this: browsers say with each POST where it comes from."""
    origin = urlsplit(request.headers.get("origin", ""))
    return (origin.scheme, origin.netloc) == (request.url.scheme, request.headers.get("host", ""))


async def parsed(request: Request) -> dict[str, str]:
    """The fields of a form. Raises Refusal for what is none, or too large."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Refusal(415, "send a form")
    body = await read_body(request, LARGEST)
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=FIELDS))
    except ValueError:
        raise Refusal(400, "this is no form") from None
