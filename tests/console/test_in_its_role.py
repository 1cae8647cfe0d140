"""The console in the database role that it has in production: whatever it shows and does, no right is missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from fundlyhub import publish_event
from fundlyhub.console.api import ROUTES
from fundlyhub.console.pages import PAGES
from fundlyhub.database import get_engine
from fundlyhub.embedded.postgres import Postgres
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.testing.databases import copy_of, environment_of
from tests.console.callers import Caller, caller
from tests.console.site import Site, Visitor, served
from tests.dead_letters.letters import dead
from tests.support.make import search
from tests.support.roles import Roles

WHY = {"reason": "a test"}
HELD = """
    INSERT INTO events.quarantine (stream, entry_id, digest, fields, reason)
    SELECT 'events', gen_random_uuid()::text, '', '[]', 'no type' FROM generate_series(1, 2) AS n RETURNING id
"""
REPORTS = """
    INSERT INTO app.delivery_reports (provider, words, bytes, failed_at, error)
    SELECT 'smtp', '[]', 1, now(), 'x' FROM generate_series(1, 4) RETURNING id
"""
TABLES: dict[str, dict[str, Any]] = {
    **{f"/rebuilds/{verb}": WHY for verb in ("start", "swap", "undo", "cancel", "prune")}, "/rebuilds/diff": {},
    "/verify/start": {"sample": 5, **WHY}, "/verify/stop": {}, "/verify/repair": {"report": "x", **WHY},
}  # fmt: skip
"""Bodies of routes about rebuilds and verifications."""
MESSAGES = """
    INSERT INTO app.notifications (id, event_id, position, channel, recipient, template, transactional, state, matter)
    SELECT gen_random_uuid(), %(event)s, %(position)s, 'email', 'x' || n, 'donation_receipt', true, 'unknown',
           gen_random_uuid()::text
    FROM generate_series(1, 2) AS n RETURNING id::text
"""


@pytest.fixture(scope="module")
def site(postgres: Postgres, template: str, valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A console in its role, and its users."""
    folder: Path = tmp_path_factory.mktemp("console")
    with (
        copy_of(postgres, template) as dsn,
        environment_of(dsn, valkey, folder),
        served(folder, roles=Roles(dsn).variables("console")) as running,
    ):
        yield running


@pytest.fixture
def rows(site: Site) -> dict[str, list[Any]]:
    """Ids of two things of each kind, or more."""
    event = publish_event(search("x"))
    with get_engine("events").begin() as db:
        return {
            "letter": dead("a", "b"), "quarantine": list(db.exec_driver_sql(HELD).scalars()),
            "report": list(db.exec_driver_sql(REPORTS).scalars()), "position": [event.position],
            "message": list(
                db.exec_driver_sql(MESSAGES, {"event": uuid4(), "position": event.position}).scalars()
            ),
        }  # fmt: skip


def of(rows: dict[str, list[Any]], path: str, which: int) -> str:
    """The path with ids of rows that are there."""
    kind = next((one for one in ("reports", "messages", "quarantine") if f"/{one}/{{id}}" in path), "").rstrip("s")
    names = {"id": rows.get(kind, [0]), "letter": rows["letter"], "position": rows["position"],
             "name": ["smtp" if "breakers" in path else "campaign_stats"], "processor": ["campaign_stats"],
             "run": ["1"]}  # fmt: skip
    for name, known in names.items():
        path = path.replace(f"{{{name}}}", str(known[which % len(known)]))
    return path


def no_right_is_missing(site: Site) -> bool:
    """Whether the server has refused the console nothing."""
    said = site.process.log.read_text()
    return "42501" not in said and "permission denied" not in said


def test_each_page_and_each_action_of_a_page(site: Site, rows: dict[str, list[Any]]) -> None:
    visitor: Visitor = site.visitor("privacy")
    form = {"reason": "a test", "until": "1h", "outcome": "sent", "address": "ada@example.org",
            "ids": str(rows["letter"][0]), "payload": '{"query": "y"}', "as_of": "2026-01-01T00:00:00Z"}  # fmt: skip
    for page in sorted(PAGES, key=lambda one: one.method):
        path = of(rows, page.path, 0)
        answer = visitor.get(path) if page.method == "GET" else visitor.post(path, form)
        assert answer.status_code < 500, (path, answer.text)
    assert no_right_is_missing(site)


def test_each_route_of_the_api(site: Site, rows: dict[str, list[Any]]) -> None:
    given: Caller = caller(site, "privacy")
    bodies: dict[str, dict[str, Any]] = {
        "correction": {**WHY, "payload": {"query": "y"}}, "settle": {**WHY, "outcome": "sent"},
        "to-address": {"address": "ada@example.org"}, "stop": {},
        "discard": WHY, "restore": {**WHY, "ids": rows["letter"]}, "replays": {**WHY, "ids": rows["letter"]},
    }  # fmt: skip
    done: dict[str, int] = {}
    for route in sorted(ROUTES, key=lambda one: one.method):
        verb = route.path.rpartition("/")[2]
        path = of(rows, route.path, 0 if verb == "discard" else 1)
        body = {**WHY, "ids": rows["letter"]} if path == "/letters/discard" else bodies.get(verb, WHY)
        body = TABLES.get(path.replace("/campaign_stats", ""), body)
        answer = given.get(path) if route.method == "GET" else given.post(path, body)
        done[f"{route.method} {route.path}"] = answer.status_code
        assert answer.status_code < 500, (path, answer.text)
    nothing_there = dict.fromkeys(("GET /letters/replays/{run}", "POST /letters/replays/{run}/stop"), 404)
    asked_nothing = dict.fromkeys(("GET /events/search", "GET /letters/choice"), 400)
    not_a_message = {"POST /messages/{id}/text": 409}
    as_the_owner = {f"POST {route.path}": 409 for route in ROUTES if route.path.startswith("/rebuilds/{processor}/")}
    no_report = {"POST /verify/repair": 409}
    others = {route: status for route, status in done.items() if status not in (200, 202)}
    assert others == {**nothing_there, **asked_nothing, **not_a_message, **as_the_owner, **no_report}
    assert {route for route, status in done.items() if status == 202} == {"POST /letters/replays", "POST /verify/start"}
    assert no_right_is_missing(site)
