"""What changes something is done for a reason, which is kept: by every page and every route, those to come too."""

from __future__ import annotations

import pytest

from fundlyhub.console.api.routing import ROUTES
from fundlyhub.console.pages import PAGES
from fundlyhub.console.visits import Page
from tests.console.site import Site
from tests.console.test_security import path_of
from tests.verification.world import sql

WITHOUT = {
    "looks": {"/messages/to-address", "/rebuilds/{processor}/diff"},
    "stops what does harm": {"/verify/stop", "/letters/replays/{run}/stop"},
}
"""What asks for no reason, and why not; who stopped something is kept all the same."""
FREE = set().union(*WITHOUT.values())
ACTS = [page for page in PAGES if page.method == "POST" and page.path not in FREE]


def test_only_what_looks_and_what_stops_asks_for_no_reason() -> None:
    assert {page.path for page in PAGES if page.method == "POST" and not page.asks_why} == FREE
    free = {route.path for route in ROUTES if route.method == "POST" and "reason" not in _fields(route.body)}
    assert free == FREE


@pytest.mark.parametrize("page", [pytest.param(page, id=page.path) for page in ACTS])
@pytest.mark.parametrize("reason", ["", " ", "two\x07bells", "x" * 1_001])
def test_a_page_that_acts_refuses_to_without_a_reason(site: Site, page: Page, reason: str) -> None:
    answer = site.visitor("privacy").post(path_of(page), {"reason": reason})
    assert answer.status_code == 400
    assert "The reason must be" in answer.text


def test_who_stops_a_verification_is_kept(site: Site) -> None:
    before = _stops()
    assert site.visitor("operator").post("/verify/stop").status_code == 303
    assert _stops() == before + 1


def _stops() -> int:
    (count,) = sql("SELECT count(*) FROM events.console_audit WHERE action = 'verification stopped'")[0]
    return int(count)


def _fields(body: object) -> set[str]:
    return set(getattr(body, "model_fields", ()))
