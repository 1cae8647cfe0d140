"""Breakers in the console: the state that workers share is shown, and changed by hand with a reason."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from fundlyhub.channels.breaker import Breaker
from fundlyhub.channels.breaker.shared import look, shared_breaker
from fundlyhub.console.pages.breakers import WIDTH, Part, strip
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.errors import Transient
from tests.console.site import Site


def fail(breaker: Breaker, text: str) -> None:
    """Calls that fail until the breaker opens."""

    def down() -> None:
        raise Transient(text)

    while breaker.state == "closed":
        with pytest.raises(Exception, match="down"):
            breaker.call(down)


def test_a_breaker_that_opened_says_why_and_is_closed_and_opened_by_hand(site: Site, valkey: Valkey) -> None:
    visitor, viewer = site.visitor("operator"), site.visitor("viewer")
    fail(shared_breaker("smtp", valkey.url), "down <script>alert(1)</script>")
    listed = viewer.get("/breakers").text
    assert "failures in a row" in listed
    page = visitor.get("/breakers/smtp").text
    assert "Why it is open" in page
    assert "&lt;script&gt;" in page
    assert "<script>alert" not in page + listed
    assert 'action="/breakers/smtp/' not in viewer.get("/breakers/smtp").text

    assert visitor.post("/breakers/smtp/close", {"reason": ""}).status_code == 400
    assert look("smtp", valkey.url).state == "open", "without a reason nothing is changed"
    closed = visitor.post("/breakers/smtp/close", {"reason": "the provider is back"})
    assert (closed.status_code, closed.headers["location"]) == (303, "/breakers/smtp")
    assert look("smtp", valkey.url).state == "closed"
    assert "smtp is called again" in visitor.get("/breakers/smtp").text
    visitor.post("/breakers/smtp/close", {"reason": "twice"})
    assert "was closed already" in visitor.get("/breakers/smtp").text

    visitor.post("/breakers/smtp/open", {"reason": "a wrong text goes out"})
    found = look("smtp", valkey.url)
    assert (found.state, found.who, found.reason) == ("open by hand", "operator", "a wrong text goes out")
    assert visitor.post("/breakers/nobody/open", {"reason": "x"}).status_code == 404


def test_the_strip_shows_the_last_day_and_what_was_before_its_first_change() -> None:
    now = datetime(2026, 3, 2, 12, tzinfo=UTC)
    changes = [
        {"at": "2026-03-02T06:00:00.000+00:00", "from": "open", "to": "closed"},
        {"at": "2026-03-02T00:00:00.000+00:00", "from": "closed", "to": "open"},
    ]
    half, quarter = WIDTH / 2, WIDTH / 4
    assert list(strip(changes, now)) == [
        Part(0.0, half, "closed"), Part(half, quarter, "open"), Part(half + quarter, quarter, "closed"),
    ]  # fmt: skip
    assert list(strip([{**changes[1], "at": "2026-02-20T00:00:00.000+00:00"}], now)) == [Part(0.0, WIDTH, "open")]
    assert list(strip([], now)) == []
