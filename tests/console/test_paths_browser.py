"""What an operator does at night, in a real browser on a platform that works; axe-core looks at each step."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest
from playwright.sync_api import Browser, Page
from playwright.sync_api import expect as look

from fundlyhub import publish_event
from fundlyhub.channels.breaker.shared import look as look_at_breaker
from fundlyhub.embedded.postgres import Postgres
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.settings import get_settings
from tests.console.axe import faults
from tests.console.stage import Stage, staged
from tests.console.test_browser import browser
from tests.console.widths import tab
from tests.support.make import completed
from tests.support.platform import wait_until
from tests.verification.world import BEN, WELLS, sql

__all__ = ["browser"]
pytestmark = pytest.mark.chaos  # for the seconds that a browser and a platform take
REFUSED = "status of 422"
"""What a browser notes of an edit that is not valid."""
LONG = 60_000
"""Milliseconds that workers of a busy machine may take."""
RECEIPT = "SELECT id FROM app.notifications WHERE event_id = %s AND template = 'donation_receipt' AND state = 'sent'"
STATE = "SELECT state, reason FROM app.notifications WHERE id = %s"


@pytest.fixture(scope="module")
def stage(postgres: Postgres, full: str, valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A platform whose relay and workers run."""
    with staged(postgres, valkey, full, tmp_path_factory.mktemp("paths")) as ready:
        ready.work()
        yield ready


@pytest.fixture
def page(browser: Browser, stage: Stage) -> Iterator[Page]:
    """A tab of somebody who may do all, who agrees to what is asked, and whose console stays empty."""
    with tab(browser, stage.site, "privacy") as page:
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("dialog", lambda dialog: dialog.accept())
        yield page
        assert [one for one in said if REFUSED not in one] == []


def raised() -> Decimal:
    """What the campaign has raised in euros."""
    query = "SELECT total_raised FROM analytics.campaign_stats_projection WHERE campaign_id = %s AND currency = 'EUR'"
    rows = sql(query, WELLS)
    return Decimal(rows[0][0]) if rows else Decimal(0)


def test_a_fault_is_found_one_letter_is_edited_and_all_are_replayed(page: Page, stage: Stage) -> None:
    others = 20 + 21
    wait_until(lambda: raised() == others, what="the gifts that only the feed has refused")
    page.goto("/")
    page.get_by_role("link", name="5 dead letters of campaign_stats").click()
    look(page.locator("h1")).to_have_text("Dead letters")
    page.get_by_role("link", name="Permanent").click()
    page.get_by_role("link", name=str(stage.letters[0]), exact=True).click()
    page.get_by_label("Reason").fill("ticket 813")
    page.get_by_role("button", name="Edit it").click()
    payload = page.get_by_label("Payload")
    text = payload.input_value()
    assert text.count('"amount": 20,') == 1, "the gift of 20 euros"
    payload.fill(text.replace('"amount": 20,', '"amount": "a lot",'))
    page.get_by_role("button", name="Check").click()
    look(page.get_by_role("alert")).to_contain_text("payload.amount")
    assert faults(page) == []
    page.get_by_label("Payload").fill(text.replace('"amount": 20,', '"amount": 70,'))
    page.get_by_role("button", name="Check").click()
    look(page.get_by_role("row", name="amount")).to_contain_text("70")
    assert faults(page) == []
    page.get_by_role("button", name="Save").click()
    look(page.get_by_text("edited", exact=True).first).to_be_visible()
    page.get_by_role("link", name="List the letters").or_(page.locator("dd a:has(code)")).click()
    page.get_by_role("link", name="Replay or discard them").click()
    look(page.locator("h1")).to_have_text("5 letters chosen")
    page.locator("form", has=page.get_by_role("button", name="Replay 5")).get_by_label("Reason").fill("ticket 812")
    page.get_by_role("button", name="Replay 5").click()
    look(page.locator("dl div", has_text="Applied").locator("dd").first).to_have_text("5", timeout=LONG)
    assert faults(page) == []
    assert raised() == others + 70 + 21 + 22 + 23 + 24
    page.goto("/letters")
    look(page.get_by_text("the net amount is more than the amount")).to_have_count(0)


def test_a_breaker_is_opened_and_closed_by_the_keyboard(page: Page) -> None:
    page.goto("/breakers")
    page.get_by_role("link", name="twilio").focus()
    page.keyboard.press("Enter")
    for button, state in (("Open: block the calls", "open by hand"), ("Close: let calls through", "closed")):
        page.get_by_label("Reason").focus()
        page.keyboard.type("a wrong text goes out")
        page.keyboard.press("Tab")
        look(page.get_by_role("button", name=button)).to_be_focused()
        page.keyboard.press("Enter")
        look(page.locator("dd .state")).to_have_text(state)
        assert look_at_breaker("twilio", get_settings().redis).state == state


def test_a_donation_is_followed_to_its_mail_by_the_keyboard(page: Page) -> None:
    gift = publish_event(completed(WELLS, donor_id=BEN, amount=Decimal(33), currency="EUR"))
    page.goto("/")
    page.get_by_label("Find by id").focus()
    page.keyboard.type(str(gift.id))
    look(page.get_by_label("Find by id")).to_have_value(str(gift.id))
    page.keyboard.press("Enter")
    look(page.locator("h1")).to_have_text("donation.completed")
    wait_until(lambda: sql(RECEIPT, gift.id), what="the receipt")
    page.reload()
    sent = page.locator("li", has_text="email donation_receipt sent")
    sent.get_by_role("link").focus()
    page.keyboard.press("Enter")
    look(page.locator("h1")).to_have_text("donation_receipt by email")
    look(page.locator("dd .state").first).to_have_text("sent")
    page.get_by_label("Reason").focus()
    page.keyboard.type("the donor asks")
    page.keyboard.press("Enter")
    look(page.frame_locator("iframe.message").locator("body")).to_contain_text("33", timeout=LONG)


def test_an_unknown_message_is_settled(page: Page, stage: Stage) -> None:
    page.goto("/messages?state=unknown")
    page.locator("tbody tr").first.get_by_role("link").first.click()
    id = page.url.rpartition("/")[2]
    assert id in stage.messages
    page.get_by_placeholder("what the provider's log says").fill("the log has it")
    page.get_by_role("button", name="It was sent").click()
    look(page.locator("dd .state").first).to_have_text("sent")
    assert faults(page) == []
    assert sql(STATE, id)[0][0] == "sent"


def test_a_viewer_sees_no_button_and_is_refused_when_a_request_is_made_up(browser: Browser, stage: Stage) -> None:
    with tab(browser, stage.site, "viewer") as page:
        for path in ("/processors/search_index", "/breakers/fcm", f"/messages/{stage.messages[-1]}", "/letters",
                     f"/letters/{stage.letters[-1]}", f"/streams/quarantine/{stage.quarantined}"):  # fmt: skip
            page.goto(path)
            look(page.locator('main form[method="post"]')).to_have_count(0)
        token = page.locator('header input[name="csrf"]').input_value()
        answer = page.request.post(
            "/processors/search_index/resume", form={"csrf": token, "reason": "x"}, headers={"Origin": stage.site.url}
        )
        assert answer.status == 403
        page.goto("/processors/search_index")
        look(page.locator("dd .state").first).to_have_text("paused")


def test_the_numbers_of_a_platform_that_works_move(page: Page) -> None:
    page.goto("/")
    shown = page.locator(".flow li", has_text="positions")
    look(shown).to_contain_text("positions")
    before = shown.locator("p", has_text="positions").inner_text()
    publish_event(completed(WELLS, donor_id=BEN))
    look(shown.locator("p", has_text="positions")).not_to_have_text(before, timeout=LONG)
    look(page.get_by_text("one leads")).to_be_visible()
