"""A PostgreSQL that hangs and closes nothing: pages and the API answer in time, say so, and go on afterwards."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import httpx
import psutil
import psycopg
import pytest

from fundlyhub.embedded.postgres import Postgres
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.testing.databases import copy_of, environment_of, migrated_template
from fundlyhub.testing.servers import quick_postgres
from tests.console.callers import caller
from tests.console.site import Site, served
from tests.support.platform import wait_until

T = TypeVar("T")
IN_TIME = 12.0
"""Seconds: far less than the minute of a statement's time-out, and more than all limits together take here."""


@pytest.fixture(scope="module")
def own(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Postgres, Site]]:
    """A server of its own, which may be stopped without harm to other tests, and a console."""
    root = tmp_path_factory.mktemp("hung")
    root.chmod(0o755)
    with (
        quick_postgres(root / "postgres") as postgres,
        copy_of(postgres, migrated_template(postgres)) as dsn,
        environment_of(dsn, valkey, root),
        served(root) as site,
    ):
        yield postgres, site


@contextmanager
def hung(postgres: Postgres) -> Iterator[None]:
    """All processes of the server stand still; their connections stay."""
    with psycopg.connect(postgres.dsn) as db:
        parent = psutil.Process(db.info.backend_pid).parent()
    assert parent is not None
    processes = [parent, *parent.children(recursive=True)]
    for one in processes:
        os.kill(one.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for one in processes:
            if one.is_running():
                os.kill(one.pid, signal.SIGCONT)


@pytest.mark.chaos  # for its length
def test_the_overview_stands_and_says_what_cannot_be_read(own: tuple[Postgres, Site]) -> None:
    postgres, site = own
    visitor = site.visitor("operator")
    assert visitor.get("/").status_code == 200
    with hung(postgres):
        wait_until(lambda: "no answer within" in _in_time(lambda: visitor.get("/").text), what="what is missing")
        page = _in_time(lambda: visitor.get("/"))
        assert page.status_code == 200
        assert "Breakers" in page.text, "what Redis knows is there"
    wait_until(lambda: "no answer within" not in visitor.get("/").text, what="the numbers")


@pytest.mark.chaos  # for its length
@pytest.mark.parametrize("path", ["/letters", "/events", "/rebuilds", "/audit"])
def test_a_page_of_a_database_is_refused_in_time(own: tuple[Postgres, Site], path: str) -> None:
    postgres, site = own
    visitor = site.visitor("operator")
    assert visitor.get(path).status_code == 200
    time.sleep(1.1)  # a connection that was used just now is taken without a question

    def told() -> httpx.Response | None:
        """What was read a moment ago is shown for as long as it is good."""
        answer: httpx.Response = _in_time(lambda: visitor.get(path))
        return answer if "cannot be read" in answer.text or "does not answer" in answer.text else None

    with hung(postgres):
        answer = wait_until(told, what="what is missing")
        assert answer.status_code == (200 if path == "/rebuilds" else 503), answer.text
    wait_until(lambda: visitor.get(path).status_code == 200, what="the page")


@pytest.mark.chaos  # for its length
def test_nobody_signs_in_and_the_api_says_so_in_time(own: tuple[Postgres, Site]) -> None:
    postgres, site = own
    robot, stranger = caller(site, "operator"), site.anonymous()
    assert robot.get("/letters").status_code == 200
    with hung(postgres):
        answer = _in_time(lambda: robot.client.get("/api/v1/letters"))
        assert (answer.status_code, answer.json()["status"]) == (503, 503)
        answer = _in_time(lambda: stranger.post("/sign-in", data={"name": "operator", "password": "wrong"}))
        assert answer.status_code == 503
    wait_until(lambda: robot.get("/letters").status_code == 200, what="the API")


@pytest.mark.chaos
def test_a_change_that_was_not_answered_is_not_called_undone(own: tuple[Postgres, Site]) -> None:
    postgres, site = own
    visitor = site.visitor("operator")
    assert visitor.csrf
    with hung(postgres):
        began = time.monotonic()
        answer = visitor.client.post(
            "/processors/activity_feed/pause", data={"csrf": visitor.csrf, "reason": "x", "until": "1h"}, timeout=60
        )
        assert time.monotonic() - began < 30 + IN_TIME
        assert answer.status_code == 503
        assert "look whether it was done" in answer.text


def _in_time(ask: Callable[[], T]) -> T:
    began = time.monotonic()
    answer = ask()
    assert time.monotonic() - began < IN_TIME
    return answer
