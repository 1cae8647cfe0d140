"""Flower beside a running worker, on both brokers: it shows what became of tasks, and nothing of whom they concern."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from fundlyhub import publish_event, publish_events
from fundlyhub.embedded.flower import USER, Flower
from tests.flower.watcher import watcher
from tests.support.make import completed, search
from tests.support.platform import Platform, wait_until
from tests.support.processors import TABLES

COUNT, STATS, SHARED = "projections.test_count", "projections.campaign_stats", "projections"


@pytest.fixture
def flower(platform: Platform, tmp_path: Path) -> Iterator[httpx.Client]:
    """Flower as `fundlyhub up` starts it, but as the broker's user for it; and somebody who knows its password."""
    environment = {**platform.environment, "FUNDLYHUB_BROKER_URL": watcher(platform, tmp_path)}
    service = (made := Flower(platform.folder / "flower")).service(environment)
    process = platform.start("flower", list(service.argv), service.env)
    wait_until(lambda: process.said(service.ready), what="Flower")
    with httpx.Client(base_url=made.url, auth=(USER, made.password_file.read_text()), timeout=30) as client:
        yield client
    assert process.terminate() == 0


def tasks(flower: httpx.Client) -> Mapping[str, dict[str, Any]]:
    """What its API knows of tasks, by id."""
    answer = flower.get("/api/tasks")
    assert answer.status_code == 200
    found: dict[str, dict[str, Any]] = answer.json()
    return found


def awaited(flower: httpx.Client, name: str, state: str) -> dict[str, Any]:
    """A task of this name in this state, once it is there."""

    def look() -> dict[str, Any] | None:
        return next((t for t in tasks(flower).values() if (t["name"], t["state"]) == (name, state)), None)

    found: dict[str, Any] = wait_until(look, what=f"{name} as {state}")
    return found


@pytest.mark.chaos  # for its length
def test_it_shows_tasks_by_processor_retries_and_failures_and_no_payload(
    platform: Platform, flower: httpx.Client
) -> None:
    platform.execute(TABLES)
    platform.relay()
    platform.worker(watched=True)

    gifts = [completed(donor_email="ada@example.org", transaction_id="pi_secret") for _ in range(3)]
    publish_events(gifts)
    assert awaited(flower, SHARED, "SUCCESS")["result"] in ("2 done", "4 done", "6 done"), "in either processor"
    publish_event(search("transient"))
    assert awaited(flower, COUNT, "RETRY")["exception"] == "1 to be tried again"
    publish_event(search("permanent"))
    letter = awaited(flower, COUNT, "FAILURE")
    assert letter["exception"] == "1 dead"
    position = platform.value("SELECT position FROM events.dead_letters")
    assert letter["args"] == f"1 positions, {position} to {position}"
    publish_event(search("bug"))  # its text is somebody's address
    wait_until(
        lambda: platform.value("SELECT count(*) FROM events.attempts WHERE error_class = 'KeyError'"), what="the bug"
    )

    wait_until(lambda: flower.get("/api/workers", params={"refresh": "true"}).json(), what="the worker's answer")
    (worker,) = flower.get("/api/workers").json()
    pages = ["/", "/tasks", "/broker", f"/worker/{worker}", "/api/tasks", "/api/workers", "/metrics"]
    pages += [f"/{what}/{task}" for task in tasks(flower) for what in ("task", "api/task/info")]
    secrets = ["example.org", "pi_secret", "permanent", "transient", *platform.environment_secrets()]
    secrets += [str(value) for gift in gifts for value in (gift.donation_id, gift.campaign_id, gift.donor_id)]
    for page in pages:
        shown = flower.get(page)
        assert shown.status_code == 200, page
        assert [secret for secret in secrets if secret in shown.text] == [], page
    fields = json.dumps(list(tasks(flower).values()))
    assert "positions, " in fields, "else the search above has proved nothing"


def test_it_wants_a_password_and_lets_nobody_do_anything(platform: Platform, flower: httpx.Client) -> None:
    for page in ("/", "/tasks", "/broker", "/api/tasks", "/api/workers", "/api/task/types"):
        assert httpx.get(flower.base_url.join(page)).status_code == 401
    for page in ("/healthcheck", "/metrics"):  # for probes and Prometheus; they hold numbers by task
        assert httpx.get(flower.base_url.join(page)).status_code == 200
    done = flower.post(f"/api/task/async-apply/{STATS}", json={"args": [[1]]})
    assert done.status_code == 403
    assert flower.post("/api/worker/shutdown/anybody@here").status_code == 403
    assert (platform.folder / "flower" / "password").stat().st_mode & 0o777 == 0o600
