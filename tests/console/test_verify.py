"""Verify in the console: a sample is compared, what is missing is sent again, and no schema outlives the console."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import redis

from fundlyhub.database import get_engine
from fundlyhub.embedded.postgres import Postgres
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.settings import get_settings
from fundlyhub.testing.databases import copy_of, environment_of
from tests.console.site import Site, Visitor, served
from tests.rebuilds.schemas import schemas
from tests.support.platform import wait_until
from tests.support.roles import Roles
from tests.verification.world import sql

IMPATIENT = {"FUNDLYHUB_SWEEP_GRACE": "0"}
LOST = """
    DELETE FROM analytics.processed_events WHERE processor = 'campaign_stats'
    AND position IN (SELECT position FROM analytics.processed_events WHERE processor = 'campaign_stats'
                     ORDER BY position LIMIT 3)
"""
ALL = {"sample": "100000", "reason": "a test"}
TABLES = {**ALL, "tables": "yes", "processor:campaign_stats": "yes"}


@pytest.fixture(autouse=True)
def empty_queues(valkey: Valkey) -> None:
    """What waits in a queue is in flight, and another test has sent some."""
    with redis.Redis.from_url(valkey.url) as client:
        client.flushall()


@pytest.fixture
def site(postgres: Postgres, full: str, valkey: Valkey, tmp_path: Path) -> Iterator[Site]:
    """A console on a database with traffic, whose role is the owner's."""
    with copy_of(postgres, full) as dsn, environment_of(dsn, valkey, tmp_path, **IMPATIENT), served(tmp_path) as one:
        yield one


@contextmanager
def held() -> Iterator[None]:
    """No replay goes on: nobody may read corrections of payloads meanwhile."""
    with psycopg.connect(get_settings().dsn("events")) as db:
        db.execute("LOCK TABLE events.corrections IN ACCESS EXCLUSIVE MODE")
        yield


def ended(visitor: Visitor) -> str:
    """The page, as soon as no verification runs."""
    page = ""

    def over() -> bool:
        nonlocal page
        page = visitor.get("/verify").text
        return "Last verification" in page

    wait_until(over, what="the end of the verification")
    return page


def actions(visitor: Visitor) -> set[str]:
    """What the page lets a visitor do."""
    return set(re.findall(r'action="/verify/([a-z]+)"', visitor.get("/verify").text))


@pytest.mark.chaos  # for its length
def test_a_sample_is_verified_and_what_is_missing_is_sent_again(site: Site) -> None:
    visitor, viewer = site.visitor("operator"), site.visitor("viewer")
    assert (actions(visitor), actions(viewer)) == ({"start"}, set())
    assert visitor.post("/verify/start", ALL).headers["location"] == "/verify"
    page = ended(visitor)
    assert "nothing found" in page
    assert "its tables: --no-tables" in page

    sql(LOST)
    visitor.post("/verify/start", {**ALL, "processor:campaign_stats": "yes"})
    page = ended(viewer)
    assert "something is wrong" in page
    assert page.count("left no trace") == 3
    assert "Begun by operator" in page
    assert "fundlyhub verify --sample 100000 --processor campaign_stats --no-tables" in page
    assert (actions(visitor), actions(viewer)) == ({"start", "repair"}, set())
    report = re.search(r'name="report" value="([0-9a-f]+)"', visitor.get("/verify").text)
    assert report is not None
    assert visitor.post("/verify/repair", {"report": "another", "reason": "a test"}).status_code == 409
    waiting = _waiting()
    assert visitor.post("/verify/repair", {"report": report[1], "reason": "a test"}).status_code == 303
    wait_until(lambda: "3 events are sent again" in visitor.get("/verify").text, what="the repair")
    assert _waiting() > waiting
    assert "repair" not in actions(visitor), "what was sent is not sent twice by a second look"
    with get_engine("events").connect() as db:
        rows = db.exec_driver_sql(
            "SELECT who, action, details FROM events.console_audit WHERE action = 'events sent again'"
        )
        assert rows.all() == [("operator", "events sent again", "a test (campaign_stats 3)")]


@pytest.mark.chaos  # for its length
def test_statistics_of_campaigns_are_compared_and_the_schema_goes(site: Site) -> None:
    sql("UPDATE analytics.campaign_stats_projection SET donation_count = donation_count + 1")
    visitor = site.visitor("operator")
    visitor.post("/verify/start", {**ALL, "tables": "yes"})
    page = ended(visitor)
    assert "differs in donation_count" in page
    assert "repair" not in actions(visitor), "no event that is sent again mends a row"
    assert schemas() == []


@pytest.mark.chaos  # for its length
def test_one_runs_at_a_time_and_is_stopped(site: Site) -> None:
    one, other = site.visitor("operator"), site.visitor("privacy")
    with held():
        assert one.post("/verify/start", TABLES).status_code == 303
        second = other.post("/verify/start", ALL)
        assert (second.status_code, "is under way" in second.text) == (409, True)
        wait_until(schemas, what="the schema")
        page = site.visitor("viewer").get("/verify").text
        assert "<progress" in page
        assert "If the console ends, the verification ends too" in page
        assert actions(one) == {"stop"}
        assert one.get("/").status_code == 200, "nobody waits for it"
        assert other.post("/verify/stop").status_code == 303
        assert other.post("/verify/stop").status_code == 303
        assert "There is no report: it was stopped" in ended(one)
        assert schemas() == []
    assert one.post("/verify/start", ALL).status_code == 303
    assert "nothing found" in ended(one)


@pytest.mark.parametrize("end", ["stopped", "killed"])
@pytest.mark.chaos  # for its length
def test_the_end_of_the_console_ends_a_verification_which_drops_its_schema(site: Site, end: str) -> None:
    visitor = site.visitor("operator")
    with held():
        visitor.post("/verify/start", TABLES)
        wait_until(schemas, what="the schema")
        if end == "stopped":
            assert site.process.terminate() == 0
            assert schemas() == []
        else:
            site.process.kill()
    wait_until(lambda: not schemas(), what="the end of the schema")


def test_a_sample_is_a_number_within_bounds(site: Site) -> None:
    visitor = site.visitor("operator")
    for sample in (
        "",
        "0",
        "-1",
        "100001",
        "1e3",
        "٣",
        "999999999999",
        "--repair",
        "1; ls",
        "<script>alert(1)</script>",
    ):
        answer = visitor.post("/verify/start", {"sample": sample, "reason": "a test"})
        assert answer.status_code == 400, sample
        assert "<script>alert" not in answer.text
    assert "Begun by" not in visitor.get("/verify").text


@pytest.mark.chaos  # for its length
def test_words_of_a_form_are_no_options_of_the_command(site: Site) -> None:
    visitor = site.visitor("operator")
    visitor.post(
        "/verify/start",
        {"sample": "5", "reason": "x", "processor:--repair": "yes", "processor:nobody": "yes", "repair": "yes"},
    )
    page = ended(visitor)
    assert "fundlyhub verify --sample 5 --no-tables<" in page


@pytest.mark.chaos  # for its length
def test_the_part_is_drawn_anew_only_when_it_changes(site: Site) -> None:
    visitor = site.visitor("operator")
    visitor.post("/verify/start", {"sample": "5", "reason": "a test"})
    address = re.search(r'hx-get="([^"]*)"', ended(visitor))
    assert address is not None
    ask = {"HX-Request": "true"}
    assert visitor.client.get(address[1], headers=ask).status_code == 204
    visitor.post("/verify/start", {"sample": "6", "reason": "a test"})
    assert visitor.client.get(address[1], headers=ask).status_code == 200


@pytest.mark.chaos  # for its length
def test_as_the_consoles_role_claims_and_messages_are_compared_and_the_rest_is_named(
    postgres: Postgres, full: str, valkey: Valkey, tmp_path: Path
) -> None:
    with copy_of(postgres, full) as dsn:
        roles = Roles(dsn)
        variables = roles.variables("console")
        with environment_of(dsn, valkey, tmp_path, **IMPATIENT), served(tmp_path, roles=variables) as restricted:
            sql(LOST)
            visitor = restricted.visitor("operator")
            page = visitor.get("/verify").text
            assert "The console's database role, fundlyhub_console, makes no schemas" in page
            assert 'name="tables"' not in page
            refused = visitor.post("/verify/start", {**ALL, "tables": "yes"})
            assert refused.status_code == 409
            assert "run `fundlyhub verify --sample 100000` as the owner&#39;s role" in refused.text
            visitor.post("/verify/start", ALL)
            page = ended(visitor)
            assert page.count("left no trace") == 3
            assert "erasures of people: our role fundlyhub_console may not read events.erasures" in page
            assert "digests: our role fundlyhub_console may not read digest_members" in page
            report = re.search(r'name="report" value="([0-9a-f]+)"', page)
            assert report is not None
            visitor.post("/verify/repair", {"report": report[1], "reason": "a test"})
            wait_until(lambda: "3 events are sent again" in visitor.get("/verify").text, what="the repair")


def _waiting() -> int:
    """Messages in the queue of the processor."""
    from fundlyhub.cli.queues import work_queues

    return work_queues()["projections"].messages
