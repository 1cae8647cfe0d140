"""A deploy as it happens: the former release runs, the databases are migrated, and this release runs beside it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from fundlyhub import Event, publish_events
from fundlyhub.embedded.postgres import Postgres
from fundlyhub.events.encoding import dumps
from fundlyhub.testing.databases import SECRET, create_database, database_dsn, drop_database
from tests.support import ROOT
from tests.support.command import dsns
from tests.support.make import initiated, search
from tests.support.platform import Platform, Process, wait_until
from tests.support.processors import TABLES
from tests.support.releases import former_release
from tests.support.traffic import published

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

QUEUES = "writes,projections,notifications,broadcasts"
GIFTS = 300
PUBLISHED = "SELECT count(*) FROM events.events WHERE type = 'donation.initiated'"
TAKEN = "SELECT count(DISTINCT position) FROM analytics.test_effects WHERE processor = 'test_slow'"
TAKEN_TWICE = """
    SELECT count(*) FROM (SELECT FROM analytics.test_effects GROUP BY processor, position HAVING count(*) > 1) AS twice
"""
LETTERS = "SELECT count(*) FROM events.dead_letters"
FAILED_AGAIN = "SELECT attempts > 1 AND state = 'open' FROM events.dead_letters"
PUBLISH = """
import sys
from fundlyhub import Event, publish_event, publish_events
from fundlyhub.events.rules import parse_json
first, *others = [Event.model_validate(parse_json(line)) for line in sys.stdin]
publish_event(first)
publish_events(others)
"""
STARTS_UP = """
    CREATE FUNCTION analytics.starts_up() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE SQLSTATE '57P03' USING MESSAGE = 'the database system is starting up'; END $$;
    CREATE TRIGGER starts_up BEFORE INSERT ON analytics.test_effects EXECUTE FUNCTION analytics.starts_up();
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The Python of the former release."""
    return former_release(tmp_path_factory.mktemp("former"))


@pytest.fixture
def dsn(postgres: Postgres, python: str) -> Iterator[str]:
    """A database that the former release has migrated."""
    name = f"former_{os.getpid()}_{uuid4().hex[:8]}"
    create_database(postgres, name)
    dsn = database_dsn(postgres.dsn, name)
    environment = {**os.environ, **dsns(dsn), **SECRET, "PYTHONPATH": ""}
    subprocess.run([python, "-P", "-m", "fundlyhub", "migrate"], env=environment, check=True, capture_output=True)
    yield dsn
    drop_database(postgres, name)


@pytest.fixture
def ours(platform: Platform) -> Platform:
    """A platform with the tables of the tests' processors."""
    platform.execute(TABLES)
    return platform


@pytest.fixture
def former(ours: Platform, python: str, tmp_path: Path) -> Iterator[Platform]:
    """The same platform for processes of the former release; of this checkout they see the tests' processors alone."""
    seen = tmp_path / "seen" / "tests" / "support"
    seen.mkdir(parents=True)
    for name in ("__init__.py", "processors.py"):
        shutil.copy(ROOT / "tests" / "support" / name, seen)
    environment = {**ours.environment, "PYTHONPATH": str(tmp_path / "seen"), "PYTHONSAFEPATH": "1"}
    with Platform(environment, ours.dsn, None, tmp_path, python) as ready:
        yield ready


def published_by(former: Platform, python: str, events: int) -> None:
    """Events that the former release writes into the log."""
    lines = b"\n".join(dumps(Event.of(initiated()).to_envelope()) for _ in range(events))
    command = [python, "-P", "-c", PUBLISH]
    subprocess.run(command, env=former.environment, input=lines, check=True, capture_output=True)


@contextmanager
def outage(platform: Platform) -> Iterator[None]:
    """The database refuses effects as one that starts: batches are sent again, with the sender's arguments."""
    platform.execute(STARTS_UP)
    yield
    platform.execute("DROP TRIGGER starts_up ON analytics.test_effects")


def start(platform: Platform) -> tuple[Process, Process]:
    """A relay and a worker."""
    return platform.relay(), platform.worker(QUEUES)


def wait_sent_again(worker: Process) -> None:
    wait_until(lambda: worker.said("a database failed"), what="messages to be sent again")


@pytest.mark.parametrize("kept", ["ours", "former"])
def test_each_event_is_applied_once_by_the_former_release_or_by_this_one(
    ours: Platform, former: Platform, python: str, kept: str
) -> None:
    """Both share the queues, and take what the other has sent again; then one of them is stopped, and the other ends.

    The former one is kept where a deploy is given up. It runs on the migrated databases as long as nobody starts it
    anew.
    """
    older = start(former)
    published_by(former, python, GIFTS)
    assert ours.run("migrate").returncode == 0
    newer = start(ours)
    published_by(former, python, GIFTS)
    with outage(ours):
        publish_events([*(initiated() for _ in range(GIFTS)), search("permanent")])
        wait_sent_again(older[1])
        wait_sent_again(newer[1])
        for process in older if kept == "ours" else newer:
            process.terminate()
    published(GIFTS)
    ours.wait_applied("test_slow", ours.value(PUBLISHED))
    found = json.loads(ours.run("verify", "--json", "--wait", "90").stdout)
    assert (found["ok"], found["findings"]) == (True, []), found
    assert ours.value(TAKEN) == ours.value(PUBLISHED) >= GIFTS
    assert ours.value(TAKEN_TWICE) == 0
    assert ours.value(LETTERS) == 1, "the search that fails for good, and nothing else"
    assert ours.run("dlq", "replay", "--all", "--no-wait").returncode == 0
    wait_until(lambda: ours.value(FAILED_AGAIN), what="the replay, which either release takes")
