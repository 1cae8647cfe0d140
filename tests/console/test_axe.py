"""No page of the console has a serious fault of accessibility: axe-core looks at each, light, dark, wide and narrow."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256

import pytest
from playwright.sync_api import Browser, Page

from fundlyhub.console.pages import PAGES
from fundlyhub.embedded.postgres import Postgres
from fundlyhub.embedded.valkey import Valkey
from tests.console.axe import VENDORED, faults
from tests.console.stage import Stage, paths, staged
from tests.console.test_browser import browser
from tests.console.widths import LOOKS, outside, tab

__all__ = ["browser"]


@pytest.fixture(scope="module")
def stage(postgres: Postgres, full: str, valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A platform with something behind each page."""
    with staged(postgres, valkey, full, tmp_path_factory.mktemp("axe")) as ready:
        yield ready


def test_the_vendored_file_is_the_one_that_was_looked_at() -> None:
    digest, name = (VENDORED / "DIGESTS").read_text().split()
    assert sha256((VENDORED / name).read_bytes()).hexdigest() == digest
    assert "Mozilla Public License" in (VENDORED / "axe.LICENSE").read_text()


@pytest.mark.chaos
def test_every_route_of_a_page_is_looked_at(stage: Stage) -> None:
    routes = {re.sub(r"\{\w+\}", "[^/]+", page.path): page.path for page in PAGES if page.method == "GET"}
    seen = {path.partition("?")[0] for path in (*paths(stage).values(), "/letters/replays/1")}
    assert [route for pattern, route in routes.items() if not any(re.fullmatch(pattern, path) for path in seen)] == []


@pytest.mark.chaos
@pytest.mark.parametrize(("width", "colours"), LOOKS)
def test_no_page_has_a_serious_fault(browser: Browser, stage: Stage, width: int, colours: str) -> None:
    found: dict[str, list[str]] = {}
    with tab(browser, stage.site, "privacy", width, colours) as page:
        for name, path in paths(stage).items():
            answer = page.goto(path)
            assert answer is not None
            assert answer.status == (404 if name == "events-found" else 200), name
            if here := [*faults(page), *too_wide(page)]:
                found[name] = here
    assert found == {}


@pytest.mark.chaos
@pytest.mark.parametrize(("width", "colours"), LOOKS)
def test_no_page_of_nobody_and_no_error_has_a_serious_fault(
    browser: Browser, stage: Stage, width: int, colours: str
) -> None:
    found: dict[str, list[str]] = {}
    statuses: dict[str, int] = {}
    for name, statuses[name], page in outside(browser, stage.site, width, colours):
        if here := [*faults(page), *too_wide(page)]:
            found[name] = here
    assert found == {}
    assert list(statuses.values()) == [200, 401, 200, 401, 404, 403, 400]


def too_wide(page: Page) -> Iterator[str]:
    """What has to be scrolled sideways, the page or on a phone a table; and cards whose names and values overlap."""
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    if wide > 0:
        yield f"{wide} px wider than the screen"
    hidden = "one => one.scrollWidth > one.clientWidth && innerWidth < 500"
    for table in page.evaluate(f"[...document.querySelectorAll('.scroll')].filter({hidden}).map(one => one.innerText)"):
        yield f"a table is wider than its place: {table[:200]}"
    covered = "one => innerWidth < 500 && parseFloat(getComputedStyle(one).paddingLeft) < 100"
    if page.evaluate(f"[...document.querySelectorAll('.cards tbody td')].some({covered})"):
        yield "names of columns lie over values"
    beyond = "one => one.getBoundingClientRect().right > one.closest('.scroll').getBoundingClientRect().right + 1"
    for button in page.evaluate(
        f"[...document.querySelectorAll('.scroll button')].filter({beyond}).map(one => one.innerText)"
    ):
        yield f"a button is out of sight: {button}"
    short = "one => one.offsetWidth > 0 && one.offsetWidth < 150"
    for form in page.evaluate(
        f"[...document.querySelectorAll('input[name=reason]')].filter({short}).map(one => one.form.action)"
    ):
        yield f"a reason has no room: {form}"
