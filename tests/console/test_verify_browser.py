"""A verification in a real browser, by the keyboard: progress and report come by themselves, and a repair follows."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page
from playwright.sync_api import expect as look

from tests.console.test_browser import browser, page, sign_in
from tests.console.test_verify import LOST, empty_queues, site
from tests.verification.world import sql

__all__ = ["browser", "empty_queues", "page", "site"]
pytestmark = pytest.mark.chaos  # for the seconds that a browser takes


def test_a_sample_is_verified_and_what_is_missing_is_sent_again(page: Page) -> None:
    sql(LOST)
    sign_in(page, "operator")
    page.goto("/verify")
    page.get_by_text("Some processors alone").focus()
    page.keyboard.press("Enter")
    page.get_by_label("campaign_stats").focus()
    page.keyboard.press("Space")
    page.get_by_label("Reason").fill("after the outage")
    page.get_by_label("Events").focus()
    page.keyboard.press("ControlOrMeta+A")
    page.keyboard.type("100000")
    page.keyboard.press("Enter")
    look(page.get_by_text("something is wrong")).to_be_visible(timeout=120_000)
    look(page.get_by_text("left no trace")).to_have_count(3)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "wider than the screen"
    repair = page.locator("form", has=page.get_by_role("button", name="Send 3 again"))
    repair.get_by_label("Reason").fill("the broker lost them")
    repair.get_by_role("button").click()
    look(page.get_by_text("3 events are sent again.")).to_be_visible(timeout=120_000)
    look(page.get_by_role("button", name="Send 3 again")).to_have_count(0)
