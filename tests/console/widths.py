"""Tabs of a visitor who is signed in, as wide as a desk's screen and as a phone's, light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, cast

from playwright.sync_api import Browser, Page, Response

from fundlyhub.console.levels import Level
from tests.console.site import Site

Colours = Literal["light", "dark"]
LOOKS = [(width, colours) for width in (1280, 390) for colours in ("light", "dark")]
"""Width in pixels, and colours."""


@contextmanager
def tab(browser: Browser, site: Site, level: Level | None, width: int = 1280, colours: str = "light") -> Iterator[Page]:
    """A tab whose visitor is signed in with this level; with None it is nobody's."""
    context = browser.new_context(
        base_url=site.url,
        viewport={"width": width, "height": 800},
        color_scheme=cast(Colours, colours),
        reduced_motion="reduce",  # what fades in has other colours meanwhile
    )
    if level is not None:
        context.add_cookies([{"name": "fundlyhub_session", "value": site.visitor(level).token, "url": site.url}])
    try:
        yield context.new_page()
    finally:
        context.close()


def outside(browser: Browser, site: Site, width: int, colours: str) -> Iterator[tuple[str, int, Page]]:
    """The pages that are no page of the menu: of nobody, and errors. Each with its name and its status."""
    with tab(browser, site, None, width, colours) as page:
        yield "sign-in", _status(page.goto("/sign-in")), page
        page.get_by_label("Name").fill("ann")
        page.get_by_label("Password").fill("this is wrong")
        yield "sign-in-refused", _clicked(page, "/sign-in"), page
        yield "link", _status(page.goto("/sign-in/link/none")), page
        yield "link-used", _clicked(page, "/sign-in/link/none"), page
    with tab(browser, site, "viewer", width, colours) as page:
        yield "error-not-found", _status(page.goto("/nowhere")), page
        yield "error-not-allowed", _status(page.goto("/settings")), page
        yield "error-wrong-use", _status(page.goto("/letters?state=none")), page


def _clicked(page: Page, path: str) -> int:
    with page.expect_response(lambda answer: answer.url.endswith(path)) as answer:
        page.get_by_role("button").click()
    page.wait_for_load_state()
    return answer.value.status


def _status(answer: Response | None) -> int:
    assert answer is not None
    return answer.status
