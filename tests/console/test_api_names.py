"""What the API and a command's `--json` both tell has the same names: a program moves from one to the other."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fundlyhub import publish_event
from fundlyhub.database import get_engine
from fundlyhub.embedded.postgres import Postgres
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.rebuilds.filling import go_on
from fundlyhub.settings import get_settings
from fundlyhub.testing.databases import copy_of, environment_of
from tests.console.callers import Caller, caller
from tests.console.site import Site, served
from tests.console.test_in_its_role import HELD, REPORTS
from tests.dead_letters.letters import dead
from tests.support.command import fundlyhub
from tests.support.make import search
from tests.support.platform import wait_until
from tests.verification.world import OURS, sql

WHY = {"reason": "a test"}


@pytest.fixture(scope="module")
def site(postgres: Postgres, full: str, valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A console on a database with traffic, whose role is the owner's."""
    folder: Path = tmp_path_factory.mktemp("names")
    with copy_of(postgres, full) as dsn, environment_of(dsn, valkey, folder), served(folder) as running:
        yield running


@pytest.fixture
def given(site: Site) -> Caller:
    """A caller who may everything."""
    return caller(site, "privacy")


def said(*args: object) -> Any:
    """The document that a command prints."""
    variables = {name: value for name, value in os.environ.items() if name.startswith("FUNDLYHUB_")}
    done = fundlyhub(*map(str, args), "--json", settings=variables)
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)


def has_all(answer: Any, document: Any) -> bool:
    """Whether an answer has every name of a command's document, and of what that holds."""
    if isinstance(document, dict):
        assert document.keys() <= answer.keys(), document.keys() - answer.keys()
        return all(has_all(answer[name], value) for name, value in document.items())
    if isinstance(document, list):
        assert bool(document) == bool(answer)
        return all(has_all(one, other) for one, other in zip(answer[:1], document[:1], strict=True))
    return True


def test_of_processors_and_breakers(given: Caller) -> None:
    given.post("/processors/campaign_stats/pause", WHY)
    given.post("/breakers/smtp/open", WHY)
    assert has_all(given.get("/processors").json(), said("processors", "list"))
    one = given.get("/processors/campaign_stats").json()
    assert has_all(one["history"], said("processors", "history", "campaign_stats"))
    assert has_all(given.get("/breakers").json(), said("breakers"))
    assert has_all(given.get("/breakers/smtp").json()["history"], said("breakers", "history", "smtp"))


def test_of_dead_letters(given: Caller) -> None:
    (id,) = dead("a")
    assert has_all(given.get("/letters").json()["items"], said("dlq", "list"))
    assert has_all(given.get("/letters/groups").json()["groups"], said("dlq", "list", "--group"))
    assert has_all(given.get(f"/letters/{id}").json(), said("dlq", "show", id))
    shown = given.post(f"/letters/{id}/payload", WHY).json()
    assert has_all(shown, said("dlq", "show", id, "--payload"))
    unknown = {"ids": [10**17], "reason": "a test"}
    discarded = said("dlq", "discard", 10**17, "--reason", "a test")
    assert has_all(given.post("/letters/discard", unknown).json(), discarded)


def test_of_events_and_the_quarantine(given: Caller) -> None:
    event = publish_event(search("x"))
    path = f"/events/{event.position}"
    assert has_all(given.get(path).json(), said("events", "story", event.position))
    assert has_all(given.post(f"{path}/payload", WHY).json(), said("events", "show", event.position, "--payload"))
    with get_engine("events").begin() as db:
        id = db.exec_driver_sql(HELD).scalars().first()
    with get_engine("app").begin() as db:
        db.exec_driver_sql(REPORTS)
    shown = given.post(f"/quarantine/{id}/fields", WHY).json()
    assert has_all(shown, said("ingest", "quarantine", "show", id, "--fields"))
    assert has_all(given.get("/messages").json()["items"], said("notifications", "list", "--state", "unknown"))
    assert has_all(given.get("/messages/reports").json(), said("notifications", "reports", "list"))


@pytest.mark.chaos  # for its length
def test_of_rebuilds(given: Caller) -> None:
    sql("UPDATE analytics.campaign_stats_projection SET total_raised = -1")
    path = "/rebuilds/campaign_stats"
    begun = given.post(f"{path}/start", {"reason": "a test"}).json()
    assert has_all(given.get("/rebuilds").json()["items"], said("rebuild", "list"))
    go_on(get_settings(), OURS["campaign_stats"], seconds=60)
    assert has_all(given.get(path).json()["rebuilds"][0], said("rebuild", "status", "campaign_stats"))
    assert has_all(run_of(given, "diff")["differences"], said("rebuild", "diff", "campaign_stats"))
    assert has_all(run_of(given, "swap")["exchanged"], said("rebuild", "undo", "campaign_stats"))
    pruned = said("rebuild", "prune", "campaign_stats")
    assert begun.keys() == pruned.keys()


def run_of(given: Caller, verb: str) -> Any:
    """What came of a comparison or an exchange."""
    path = "/rebuilds/campaign_stats"
    key = given.post(f"{path}/{verb}", {} if verb == "diff" else {"reason": "a test"}).json()["key"]
    wait_until(lambda: given.get(path).json()["run"]["is_over"], what=verb)
    run = given.get(path).json()["run"]
    assert (run["key"], run["failed"]) == (key, None)
    return run
