"""Tabs of a visitor who is signed in, as wide as a desk's screen and as a phone's, light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, cast

from playwright.sync_api import Browser, Page

from fundlyhub.console.levels import Level
from tests.console.site import Site

Colours = Literal["light", "dark"]
LOOKS = [(width, colours) for width in (1280, 390) for colours in ("light", "dark")]
"""Width in pixels, and colours."""


@contextmanager
def tab(browser: Browser, site: Site, level: Level, width: int = 1280, colours: str = "light") -> Iterator[Page]:
    """A tab whose visitor is signed in with this level."""
    context = browser.new_context(
        base_url=site.url,
        viewport={"width": width, "height": 800},
        color_scheme=cast(Colours, colours),
        reduced_motion="reduce",  # what fades in has other colours meanwhile
    )
    context.add_cookies([{"name": "fundlyhub_session", "value": site.visitor(level).token, "url": site.url}])
    try:
        yield context.new_page()
    finally:
        context.close()
