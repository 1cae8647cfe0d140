"""A rebuild in a real browser, by the keyboard: the page moves by itself, and offers what can be done now."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page
from playwright.sync_api import expect as look

from fundlyhub.settings import get_settings
from tests.console.test_browser import browser, page, sign_in
from tests.console.test_rebuilds import PATH, fill, no_rebuild_before, site
from tests.verification.world import sql

__all__ = ["browser", "no_rebuild_before", "page", "site"]
pytestmark = pytest.mark.chaos  # for the seconds that a browser takes


def test_a_rebuild_is_started_compared_swapped_and_undone(page: Page) -> None:
    sql("UPDATE analytics.campaign_stats_projection SET total_raised = -1")
    page.on("dialog", lambda dialog: dialog.accept())
    sign_in(page, "operator")
    page.goto(PATH)
    page.get_by_label("Reason").fill("wrong sums")
    page.get_by_label("Events a second at most").focus()
    page.keyboard.type("9000")
    page.keyboard.press("Enter")
    look(page.get_by_text("is being rebuilt, up to position")).to_be_visible()
    look(page.get_by_role("button", name="Swap", exact=True)).to_have_count(0)
    fill(get_settings())
    swap = page.get_by_role("button", name="Swap", exact=True)
    look(swap).to_be_visible(timeout=60_000)  # without a click: the page was filling when it was loaded
    page.get_by_role("button", name="Compare", exact=True).click()
    look(page.get_by_role("heading", name="Examples")).to_be_visible(timeout=60_000)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "wider than the screen"
    page.locator("form", has=swap).get_by_label("Reason").fill("the sums are right")
    swap.focus()
    page.keyboard.press("Enter")
    look(page.get_by_text("are those of the rebuild.")).to_be_visible(timeout=60_000)
    undo = page.get_by_role("button", name="Undo the swap")
    page.locator("form", has=undo).get_by_label("Reason").fill("a test")
    undo.click()
    look(page.get_by_text("are the former ones again.")).to_be_visible(timeout=60_000)
    look(page.get_by_role("button", name="Drop them")).to_be_visible()
