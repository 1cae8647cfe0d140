"""Rebuilds in the console: how far one is, and every action on it, by the library that the command line calls."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from fundlyhub import rebuilds
from fundlyhub.console.pages.rebuilds import OF_VALUES, VALUES_KEPT, forget_values
from fundlyhub.console.rendering import environment, render
from fundlyhub.console.runs import Run
from fundlyhub.database import disclosed, get_engine
from fundlyhub.database.rebuilt import LOCK_CLASS
from fundlyhub.embedded.postgres import Postgres
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.rebuilds import Difference
from fundlyhub.rebuilds.filling import go_on
from fundlyhub.settings import Settings, get_settings
from fundlyhub.testing.databases import copy_of, environment_of
from fundlyhub.verification import Finding
from tests.console.site import Site, Visitor, served
from tests.rebuilds.schemas import schemas
from tests.support.platform import wait_until
from tests.support.roles import Roles
from tests.verification.world import OURS, found, sql

STATS = "campaign_stats"
WHY = {"reason": "a test"}
PATH = f"/rebuilds/{STATS}"
HOLD = "SELECT pg_advisory_xact_lock(%s, max(id)::int) FROM analytics.rebuilds"
"""The newest rebuild is busy, as while a page is filled."""


PATIENT = {"FUNDLYHUB_LOCK_TIMEOUT": "60"}


@pytest.fixture(scope="module")
def site(postgres: Postgres, full: str, valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A console on a database with traffic, whose role is the owner's."""
    folder = tmp_path_factory.mktemp("rebuilds")
    with copy_of(postgres, full) as dsn, environment_of(dsn, valkey, folder, **PATIENT), served(folder) as running:
        yield running


@pytest.fixture(autouse=True)
def no_rebuild_before(site: Site) -> None:
    """What another test has left is gone."""
    for one in rebuilds.listed(get_settings(), OURS):
        ends = rebuilds.cancel if one.state == "running" else rebuilds.prune
        ends(get_settings(), OURS, one.processor, who="test")


def fill(settings: Settings) -> None:
    """As the workers of the queue do."""
    go_on(settings, OURS[STATS], seconds=60)
    assert rebuilds.status(settings, OURS, STATS).phase == "following"


def shows(visitor: Visitor, text: str, path: str = PATH) -> str:
    """The page, as soon as it shows this."""
    page = ""

    def there() -> bool:
        nonlocal page
        page = visitor.get(path).text
        return text in page

    wait_until(there, what=f"{text!r} on {path}")
    return page


def actions(visitor: Visitor) -> set[str]:
    """What the page lets a visitor do."""
    return set(re.findall(rf'action="{PATH}/([a-z]+)"', visitor.get(PATH).text))


@pytest.mark.chaos  # for its length
def test_a_rebuild_from_its_start_to_its_undoing(site: Site) -> None:
    visitor, viewer = site.visitor("operator"), site.visitor("viewer")
    assert STATS in viewer.get("/rebuilds").text
    assert "email_notification cannot be rebuilt: it sends messages" in viewer.get("/rebuilds").text
    assert (actions(visitor), actions(viewer)) == ({"start"}, set())
    sql("UPDATE analytics.campaign_stats_projection SET total_raised = -1")

    begun = visitor.post(f"{PATH}/start", {**WHY, "rate": "5000"})
    assert (begun.status_code, begun.headers["location"]) == (303, PATH)
    assert "is being rebuilt" in visitor.get(PATH).text
    one = rebuilds.status(get_settings(), OURS, STATS).rebuild
    assert (one.who, one.rate, one.state) == ("operator", 5_000, "running")
    filling = visitor.get(PATH).text
    assert "<progress max=" in filling
    assert "at most 5,000" in filling
    assert "No worker consumes the queue rebuilds" in filling
    assert actions(visitor) == {"diff", "cancel"}, "what is being filled is not swapped"
    assert "<progress" in viewer.get("/rebuilds").text

    fill(get_settings())
    shows(visitor, f"{PATH}/swap")
    visitor.post(f"{PATH}/diff")
    page = shows(visitor, "What a swap would change")
    assert "campaign_stats_projection" in page
    assert "Examples" in page
    assert "-1" in page, "whole numbers are shown"
    assert "Examples" in viewer.get(PATH).text

    visitor.post(f"{PATH}/swap", WHY)
    shows(visitor, "are those of the rebuild. They were locked for")
    assert found(STATS) == []
    assert actions(visitor) == {"start", "undo", "prune"}
    assert "What a swap would change" not in visitor.get(PATH).text, "what was compared is not there any more"
    assert actions(viewer) == set()
    visitor.post(f"{PATH}/undo", WHY)
    shows(visitor, "are the former ones again")
    assert found(STATS) != []
    visitor.post(f"{PATH}/prune", WHY)
    assert schemas() == []
    assert "had left are gone" in visitor.get(PATH).text
    assert "Earlier ones" in visitor.get(PATH).text
    audit = visitor.get("/audit?kind=console").text
    for verb in ("start", "swap", "undo", "prune"):
        assert f'<td>rebuild {verb}</td><td class="wide">{STATS}</td><td class="wide">a test</td>' in audit


def test_values_are_for_the_level_privacy_with_a_reason_and_for_the_one_who_asked(site: Site) -> None:
    sql("UPDATE analytics.user_search_projection SET name = 'Mallory <b>x</b>'")
    asking, other, operator = site.visitor("privacy"), site.visitor("operator"), site.visitor("operator")
    rebuilds.start(get_settings(), OURS, "search_index", who="ann")
    go_on(get_settings(), OURS["search_index"], seconds=60)
    path = "/rebuilds/search_index"
    assert operator.post(f"{path}/values", {"reason": "x"}).status_code == 403
    assert asking.post(f"{path}/values", {"reason": ""}).status_code == 400
    with get_engine("events").begin() as db:
        assert disclosed.disclosures(db, limit=1) == []
    asking.post(f"{path}/diff")
    without = shows(asking, "Examples", path)
    assert "Mallory" not in without
    asking.post(f"{path}/values", {"reason": "wrong names"})
    page = shows(asking, "Mallory", path)
    assert "&lt;b&gt;x" in page
    assert "<b>x" not in page
    seen = other.get(path).text
    assert "Mallory" not in seen
    assert "shown to privacy alone" in seen
    with get_engine("events").begin() as db:
        (line,) = disclosed.disclosures(db, limit=9)
    assert (line.who, line.command) == ("privacy", "console: rebuild diff")
    assert line.what == "values of the tables of search_index: wrong names"


def test_values_are_forgotten_after_a_while() -> None:
    ended = datetime(2026, 3, 2, 12, tzinfo=UTC)
    example = Finding("different", "search_index", "x", expected={"name": "Ann"})
    run = Run(OF_VALUES, "search_index", "ann", result=[Difference("users", 0, 0, 1, (example,))], ended=ended)
    forget_values(run, ended + VALUES_KEPT - timedelta(seconds=1))
    assert run.result[0].examples == (example,)
    forget_values(run, ended + VALUES_KEPT)
    assert run.result == [Difference("users", 0, 0, 1, ())]
    page = render("parts/rebuild_run.html", run=run, ui=environment().get_template("parts/macros.html").module)
    assert "are forgotten after 15 minutes" in page
    assert "Nothing differs" not in page


@pytest.mark.chaos  # for its length
def test_a_rebuild_of_another_release_leads_nowhere(site: Site) -> None:
    sql("""INSERT INTO analytics.rebuilds (processor, schema_name, tables, up_to, who, state)
           VALUES ('of <i>tomorrow', 'rebuild_x', '{}', 1, 'ann', 'undone')""")
    page = shows(site.visitor("viewer"), "of &lt;i&gt;tomorrow", "/rebuilds")
    assert "(of another release)" in page
    assert "<i>tomorrow" not in page
    sql("DELETE FROM analytics.rebuilds WHERE schema_name = 'rebuild_x'")


def test_of_two_starts_one_begins_and_the_other_says_why_not(site: Site) -> None:
    one, other = site.visitor("operator"), site.visitor("privacy")
    assert one.post(f"{PATH}/start", WHY).status_code == 303
    second = other.post(f"{PATH}/start", WHY)
    assert second.status_code == 409
    assert "is being rebuilt already" in second.text
    assert len(schemas()) == 1
    assert one.post(f"{PATH}/swap", WHY).status_code == 303
    assert "is being filled" in shows(one, "failed"), "a swap that comes too early says so"
    assert one.post(f"{PATH}/cancel", WHY).status_code == 303
    assert one.post(f"{PATH}/cancel", WHY).status_code == 409
    assert schemas() == []


def test_of_two_comparisons_one_runs_and_of_one_that_waits_the_page_says_what_the_end_would_mean(site: Site) -> None:
    visitor = site.visitor("operator")
    visitor.post(f"{PATH}/start", WHY)
    fill(get_settings())
    with psycopg.connect(get_settings().dsn("events")) as db:
        db.execute(HOLD, (LOCK_CLASS,))
        assert visitor.post(f"{PATH}/diff").status_code == 303
        page = visitor.get(PATH).text
        assert "under way" in page
        assert "the comparison is lost, and leaves nothing" in page
        assert actions(visitor) == set(), "one thing at a time"
        second = visitor.post(f"{PATH}/diff")
        assert (second.status_code, "is under way" in second.text) == (409, True)
        assert visitor.get("/").status_code == 200, "nobody waits for it"
    shows(visitor, "What a swap would change")


@pytest.mark.parametrize("verb", ["start", "swap", "undo", "cancel", "prune"])
@pytest.mark.parametrize("reason", ["", "a \x1b[31mred word"])
def test_nothing_begins_without_a_reason(site: Site, verb: str, reason: str) -> None:
    answer = site.visitor("operator").post(f"{PATH}/{verb}", {"reason": reason})
    assert (answer.status_code, "reason" in answer.text) == (400, True)
    assert schemas() == []


@pytest.mark.parametrize("rate", ["0", "-1", "1e3", "٣", "10000000", "x" * 50, "<script>"])
def test_a_rate_is_a_number(site: Site, rate: str) -> None:
    answer = site.visitor("operator").post(f"{PATH}/start", {**WHY, "rate": rate})
    assert answer.status_code == 400
    assert "<script>" not in answer.text
    assert schemas() == []


@pytest.mark.chaos  # for its length
def test_hostile_words_of_a_rebuild_are_shown_as_they_are(site: Site) -> None:
    rebuilds.start(get_settings(), OURS, STATS, who="<script>alert(1)</script>")
    sql("""INSERT INTO analytics.rebuild_findings (rebuild_id, position, event_id, what)
           SELECT max(id), 1, gen_random_uuid(), '<img src=x onerror=alert(2)>' FROM analytics.rebuilds""")
    visitor = site.visitor("operator")
    for path in (PATH, "/rebuilds"):
        page = shows(visitor, "&lt;script&gt;", path)
        assert "<script>alert" not in page
        assert "<img" not in page
    assert "Events that could not be applied: 1" in visitor.get(PATH).text
    fill(get_settings())
    shows(visitor, "without the 1 event that")
    visitor.post(f"{PATH}/swap", WHY)
    shows(visitor, "1 claimed events could not be applied")
    visitor.post(f"{PATH}/swap", {**WHY, "despite": "yes"})
    shows(visitor, "are those of the rebuild")


def test_forms_are_drawn_anew_only_when_something_else_can_be_done(site: Site) -> None:
    visitor = site.visitor("operator")
    known = re.search(r'hx-get="([^"]*part=actions[^"]*)"', visitor.get(PATH).text)
    assert known is not None
    address = known[1].replace("&amp;", "&")
    ask = {"HX-Request": "true"}
    assert visitor.client.get(address, headers=ask).status_code == 204
    visitor.post(f"{PATH}/start", WHY)
    again = visitor.client.get(address, headers=ask)
    assert (again.status_code, "Cancel the rebuild" in again.text, "<html" in again.text) == (200, True, False)


@pytest.mark.chaos  # for its length
def test_as_the_consoles_role_it_shows_how_far_a_rebuild_is_and_says_what_the_owner_runs(
    postgres: Postgres, full: str, valkey: Valkey, tmp_path: Path
) -> None:
    with copy_of(postgres, full) as dsn:
        roles = Roles(dsn)
        with environment_of(dsn, valkey, tmp_path), served(tmp_path, roles=roles.variables("console")) as restricted:
            rebuilds.start(get_settings(), OURS, STATS, who="ann")
            fill(get_settings())
            visitor = restricted.visitor("privacy")
            assert "following" in visitor.get("/rebuilds").text
            page = visitor.get(PATH).text
            assert "The console's database role, fundlyhub_console, makes no schemas" in page
            assert "cannot be read" not in page
            assert re.search(r"Behind</dt><dd>0<", page)
            assert actions(visitor) == set()
            for verb in ("start", "diff", "values", "swap", "undo", "cancel", "prune"):
                refused = visitor.post(f"{PATH}/{verb}", {"reason": "x"})
                assert refused.status_code == 409
                command = "diff" if verb == "values" else verb
                assert f"run `fundlyhub rebuild {command} {STATS}` as the owner&#39;s role" in refused.text
            assert rebuilds.status(get_settings(), OURS, STATS).phase == "following", "nothing was changed"
            assert restricted.process.log.read_text().count("permission denied") == 0


def test_what_cannot_be_rebuilt_says_why_and_offers_nothing(site: Site) -> None:
    page = site.visitor("operator").get("/rebuilds/email_notification").text
    assert "it sends messages" in page
    assert "/start" not in page
    assert site.visitor("operator").post("/rebuilds/email_notification/start", WHY).status_code == 400
    assert site.visitor("operator").get("/rebuilds/nobody").status_code == 404
