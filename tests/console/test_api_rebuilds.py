"""Rebuilds and verifications by the API: begun, followed where the answer says, and ended."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from fundlyhub import rebuilds
from fundlyhub.console.api.routing import PREFIX
from fundlyhub.database import disclosed, get_engine
from fundlyhub.embedded.postgres import Postgres
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.rebuilds.filling import go_on
from fundlyhub.settings import get_settings
from fundlyhub.testing.databases import copy_of, environment_of
from tests.console.callers import Caller, caller
from tests.console.site import Site, served
from tests.console.test_verify import IMPATIENT, LOST, empty_queues, site
from tests.rebuilds.schemas import schemas
from tests.support.platform import wait_until
from tests.support.roles import Roles
from tests.verification.world import OURS, found, sql

__all__ = ["empty_queues", "site"]  # the fixtures

STATS = "campaign_stats"
WHY = {"reason": "a test"}
PATH = f"/rebuilds/{STATS}"
ALL = {"sample": 100_000, **WHY}


def over(given: Caller, begun: httpx.Response, is_over: Callable[[Any], bool]) -> Any:
    """What the address says that an answer of 202 named, as soon as it is over."""
    assert begun.status_code == 202, begun.text
    path, said = begun.headers["location"].removeprefix(PREFIX), {}

    def there() -> bool:
        said.update(given.get(path).json())
        return is_over(said)

    wait_until(there, what=path)
    return said


def run_of(given: Caller, begun: httpx.Response) -> Any:
    """The run about a processor, as soon as it is over."""
    return over(given, begun, lambda said: said["run"]["is_over"])["run"]


def verified(given: Caller, begun: httpx.Response) -> Any:
    """The state of verifications, as soon as none runs."""
    return over(given, begun, lambda said: said["verification"]["is_over"])


def refused_as(answer: httpx.Response, words: str) -> bool:
    """Whether it is refused as for something that cannot be done now, with these words."""
    return answer.status_code == 409 and words in answer.json()["detail"]


@pytest.mark.chaos  # for its length
def test_a_rebuild_from_its_start_to_its_undoing(site: Site) -> None:
    given = caller(site, "operator")
    assert "it sends messages" in given.get("/rebuilds").json()["refused"]["email_notification"]
    sql("UPDATE analytics.campaign_stats_projection SET total_raised = -1")
    begun = given.post(f"{PATH}/start", {**WHY, "rate": 5_000})
    assert (begun.status_code, begun.headers["location"]) == (202, f"{PREFIX}{PATH}")
    assert (begun.json()["who"], begun.json()["rate"]) == (given.who, 5_000)
    assert refused_as(given.post(f"{PATH}/start", WHY), "is being rebuilt already")
    (one,) = given.get("/rebuilds").json()["items"]
    assert (one["phase"], one["positions"], one["findings"]) == ("filling", 0, [])
    early = run_of(given, given.post(f"{PATH}/swap", WHY))
    assert (early["exchanged"], "is being filled" in early["failed"]) == (None, True)

    sql("""INSERT INTO analytics.rebuild_findings (rebuild_id, position, event_id, what)
           SELECT max(id), 1, gen_random_uuid(), 'too old' FROM analytics.rebuilds""")
    go_on(get_settings(), OURS[STATS], seconds=60)
    run = run_of(given, given.post(f"{PATH}/diff"))
    table = next(one for one in run["differences"] if one["table"] == "campaign_stats_projection")
    assert (table["changed"] > 0, table["examples"][0]["live"]["total_raised"]) == (True, "-1")
    (one,) = given.get(PATH).json()["rebuilds"]
    assert (one["phase"], one["behind"], one["findings_total"]) == ("following", 0, 1)
    assert one["findings"][0]["what"] == "too old"
    refused = run_of(given, given.post(f"{PATH}/swap", WHY))
    assert "1 claimed events could not be applied" in refused["failed"]
    run = run_of(given, given.post(f"{PATH}/swap", {**WHY, "despite_findings": True}))
    assert (run["failed"], run["exchanged"]["tries"]) == (None, 1)
    assert found(STATS) == []

    run = run_of(given, given.post(f"{PATH}/undo", {**WHY, "despite_findings": True}))
    assert run["exchanged"]["processor"] == STATS
    assert found(STATS) != []
    assert given.post(f"{PATH}/prune", WHY).json()["processor"] == STATS
    assert refused_as(given.post(f"{PATH}/prune", WHY), "no former tables")
    assert schemas() == []
    assert [one["state"] for one in given.get(PATH).json()["rebuilds"]] == ["dropped"]
    assert given.get("/rebuilds").json()["items"] == []
    assert [one["state"] for one in given.get("/rebuilds", all="true").json()["items"]] == ["dropped"]


def test_values_are_for_the_token_that_asked_and_the_question_is_kept(site: Site) -> None:
    sql("UPDATE analytics.user_search_projection SET name = 'Mallory'")
    asking, other = caller(site, "privacy"), caller(site, "privacy")
    path = "/rebuilds/search_index"
    rebuilds.start(get_settings(), OURS, "search_index", who="ann")
    go_on(get_settings(), OURS["search_index"], seconds=60)
    run = run_of(asking, asking.post(f"{path}/diff"))
    assert any(one["examples"] for one in run["differences"])
    assert "Mallory" not in str(run)
    assert asking.post(f"{path}/values", {"reason": " "}).status_code == 400
    with get_engine("events").begin() as db:
        assert disclosed.disclosures(db, limit=1) == []
    assert "Mallory" in str(run_of(asking, asking.post(f"{path}/values", {"reason": "wrong names"})))
    seen = other.get(path)
    assert "Mallory" not in seen.text
    assert seen.json()["run"]["who"] == asking.who
    with get_engine("events").begin() as db:
        (line,) = disclosed.disclosures(db, limit=9)
    assert (line.who, line.what) == (asking.who, "values of the tables of search_index: wrong names")
    assert other.post(f"{path}/cancel", WHY).json()["processor"] == "search_index"
    assert other.get(path).json()["run"] is None, "what was compared is gone"
    assert refused_as(other.post(f"{path}/cancel", WHY), "is not being rebuilt")


@pytest.mark.chaos  # for its length
def test_a_sample_is_verified_and_what_is_missing_is_sent_again(site: Site) -> None:
    given = caller(site, "operator")
    assert given.get("/verify").json()["verification"] is None
    sql(LOST)
    said = verified(given, given.post("/verify/start", {**ALL, "processors": [STATS]}))
    assert said["verification"]["command"] == f"fundlyhub verify --sample 100000 --processor {STATS} --no-tables"
    assert (said["report"]["ok"], said["report"]["counts"], said["repairable"]) == (False, {"missing": 3}, {STATS: 3})
    assert refused_as(given.post("/verify/repair", {"report": "another", **WHY}), "there is a newer report, or none")
    begun = given.post("/verify/repair", {"report": said["verification"]["key"], **WHY})
    assert over(given, begun, lambda said: said["repair"]["is_over"])["repair"]["sent"] == 3
    lines = given.get("/audit", kind="console", who=given.who).json()["items"]
    assert [one["action"] for one in lines] == ["events sent again", "verification started"]


def test_one_verification_runs_at_a_time_and_is_stopped(site: Site) -> None:
    given = caller(site, "operator")
    for wrong in ({}, {"sample": 0}, {"sample": 100_001}, {"sample": "5"}, {"sample": 5, "processors": ["a", 1]}):
        assert given.post("/verify/start", wrong).status_code == 422
    unknown = given.post("/verify/start", {**WHY, "sample": 5, "processors": ["--repair"]})
    assert (unknown.status_code, "no such processor: --repair" in unknown.json()["detail"]) == (400, True)
    begun = given.post("/verify/start", ALL)
    assert refused_as(given.post("/verify/start", ALL), "is under way")
    assert given.post("/verify/stop").json()["verification"]["is_stopped"] is True
    assert given.post("/verify/stop").status_code == 200, "safe to repeat"
    assert verified(given, begun)["verification"]["failed"] == "it was stopped"


@pytest.mark.chaos  # for its length
def test_as_the_consoles_role_it_says_how_far_a_rebuild_is_and_what_the_owner_runs(
    postgres: Postgres, full: str, valkey: Valkey, tmp_path: Path
) -> None:
    with copy_of(postgres, full) as dsn:
        variables = Roles(dsn).variables("console")
        with environment_of(dsn, valkey, tmp_path, **IMPATIENT), served(tmp_path, roles=variables) as restricted:
            rebuilds.start(get_settings(), OURS, STATS, who="ann")
            given = caller(restricted, "privacy")
            said = given.get(PATH).json()
            assert (said["restricted"], said["rebuilds"][0]["phase"]) == ("fundlyhub_console", "filling")
            for verb in ("start", "diff", "values", "swap", "undo", "cancel", "prune"):
                answer = given.post(f"{PATH}/{verb}", {} if verb == "diff" else {"reason": "x"})
                command = "diff" if verb == "values" else verb
                assert refused_as(answer, f"run `fundlyhub rebuild {command} {STATS}` as the owner's role")
            answer = given.post("/verify/start", {**ALL, "tables": True})
            assert refused_as(answer, "run `fundlyhub verify --sample 100000` as the owner's role")
            said = verified(given, given.post("/verify/start", ALL))
            assert (said["restricted"], said["report"]["ok"]) == ("fundlyhub_console", True)
