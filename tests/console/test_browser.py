"""The console in a real browser: what only a browser refuses, and whether the keyboard alone suffices."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from playwright.sync_api import expect as look

from fundlyhub.console.visits import MENU
from fundlyhub.database import get_engine
from fundlyhub.processing import pauses
from tests.console.site import PASSWORD, Site

MISSING = "Chromium is not installed (Debian: apt-get install chromium)"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; without it the tests are skipped, on CI they fail."""
    found = shutil.which("chromium")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    """A tab of a new visitor, whose console stays empty: no policy was hurt, and no script failed."""
    context = browser.new_context(base_url=site.url, viewport={"width": 390, "height": 800})
    tab = context.new_page()
    said: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    yield tab
    context.close()
    assert said == []


def sign_in(page: Page, name: str) -> None:
    """By the keyboard alone: the first field has the focus, as soon as the page is drawn."""
    page.goto("/sign-in")
    look(page.get_by_label("Name")).to_be_focused()
    page.keyboard.type(name)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    look(page.get_by_label("Name")).to_have_value(name)
    look(page.get_by_label("Password")).to_have_value(PASSWORD)
    page.keyboard.press("Enter")
    look(page.locator("h1")).to_have_text("Overview")


def test_every_page_of_the_menu_opens_and_fits_a_phone(page: Page) -> None:
    sign_in(page, "privacy")
    for path, title in MENU:
        page.goto(path)
        look(page.locator("h1")).to_have_text(title)
        look(page.locator('nav a[aria-current="page"]')).to_have_text(title)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} is wider than the screen"


def test_numbers_move_by_themselves_and_a_processor_is_paused_by_the_keyboard(page: Page) -> None:
    sign_in(page, "operator")
    page.goto("/processors/search_index")
    page.get_by_label("Reason").focus()
    page.keyboard.type("looking into it")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    look(page.get_by_text("search_index is paused.")).to_be_visible()
    page.goto("/")
    look(page.get_by_text("search_index is paused by hand.")).to_be_visible()
    with get_engine("events").begin() as db:
        pauses.end_by_hand(db, "search_index", who="test", reason="over")
    look(page.get_by_text("search_index is paused by hand.")).to_have_count(0, timeout=20_000)


def test_signing_out_leaves_nothing_to_go_back_to(page: Page) -> None:
    sign_in(page, "viewer")
    page.get_by_role("button", name="Sign out").click()
    look(page.locator("h1")).to_have_text("Sign in")
    page.go_back()
    page.reload()
    look(page.locator("h1")).to_have_text("Sign in")
