"""Time limits by queue: a handler that hangs is cut off, wherever it hangs, counted, and dead in the end."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import psycopg
import pytest

from fundlyhub import publish_events
from fundlyhub.errors import WrongUse
from fundlyhub.settings import CONSUMER_TIMEOUT, PREFETCH, Settings, get_settings
from fundlyhub.testing.databases import settings_of
from tests.support.command import dsns, environment
from tests.support.make import search
from tests.support.platform import Platform, wait_until
from tests.support.processors import TABLES
from tests.support.rabbitmq import long_on_rabbitmq
from tests.support.unreadable import TYPE, text_of

TELL = """
import json
from fundlyhub.celery import app
print(json.dumps({name: f"{task.soft_time_limit} {task.time_limit}" for name, task in app.tasks.items()}))
"""
LIMITS: Mapping[str, Any] = {"FUNDLYHUB_PROJECTIONS_SOFT_TIME_LIMIT": "2", "FUNDLYHUB_PROJECTIONS_TIME_LIMIT": "8"}


@pytest.fixture
def ready(platform: Platform) -> Platform:
    """A platform with the tables of the test's processors."""
    platform.execute(TABLES)
    return platform


def test_each_queue_has_limits_of_its_own(settings: Settings) -> None:
    variables = {"FUNDLYHUB_WRITES_SOFT_TIME_LIMIT": "30", "FUNDLYHUB_WRITES_TIME_LIMIT": "45.5"}
    servers = {"FUNDLYHUB_BROKER_URL": settings.broker, **dsns(settings.dsn("events"))}
    done = subprocess.run(
        [sys.executable, "-c", TELL], env=environment({**servers, **variables}), capture_output=True, timeout=60
    )
    found = json.loads(done.stdout)
    assert {limits for name, limits in found.items() if name.startswith("writes.")} == {"30.0 45.5"}
    assert {limits for name, limits in found.items() if name.startswith("projections.")} == {"240.0 300.0"}


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"WRITES_TIME_LIMIT": "421"}, "FUNDLYHUB_WRITES_TIME_LIMIT: Input should be less than or equal to 420"),
        ({"WRITES_TIME_LIMIT": "240"}, "FUNDLYHUB_WRITES_SOFT_TIME_LIMIT must be below FUNDLYHUB_WRITES_TIME_LIMIT"),
        ({"NOTIFICATIONS_SOFT_TIME_LIMIT": "80"}, "FUNDLYHUB_NOTIFICATIONS_SOFT_TIME_LIMIT must be at least 90"),
    ],
)
def test_limits_that_do_not_fit_are_refused(settings: Settings, variables: dict[str, str], said: str) -> None:
    with settings_of({f"FUNDLYHUB_{name}": value for name, value in variables.items()}):
        with pytest.raises(WrongUse) as caught:
            get_settings()
        assert said in str(caught.value)


def test_all_that_a_process_holds_is_done_before_rabbitmq_takes_it_back() -> None:
    longest = Settings.model_fields["writes_time_limit"].metadata
    assert any(getattr(rule, "le", None) == CONSUMER_TIMEOUT / PREFETCH - 30 for rule in longest)


@pytest.mark.chaos  # for its length
@pytest.mark.timeout(900)
@pytest.mark.parametrize("word", ["hang", "hang in sql", "hang in a lock"])
def test_an_event_that_hangs_is_ended_retried_and_then_dead(ready: Platform, word: str) -> None:
    published = publish_events(search(word) for word in ("fine", word, "fine"))
    # As if four of its five attempts had been made: the limits alone take their time.
    ready.execute(
        "INSERT INTO events.attempts VALUES ('test_count', %s, 4, now(), now() - interval '1 minute')",
        published[1].position,
    )
    ready.relay()
    ready.worker(**LIMITS)
    ready.wait_applied("test_count", 2, timeout=120)
    wait_until(lambda: ready.value("SELECT count(*) FROM events.dead_letters"), timeout=120, what="the dead letter")
    assert ready.value("SELECT position FROM events.dead_letters") == published[1].position
    assert ready.value("SELECT error_class FROM events.dead_letters") in ("SoftTimeLimitExceeded", "WorkerLost")


@pytest.mark.timeout(900)
@long_on_rabbitmq
@pytest.mark.chaos  # for its length
def test_an_event_whose_code_hangs_while_it_is_read_is_dead_and_its_neighbours_are_applied(ready: Platform) -> None:
    ready.environment["FUNDLYHUB_PROCESSORS"] = "tests.support.unreadable_types"
    publish = "SELECT events.publish_event(%s, %s::jsonb, version => '2.0.0')"
    with psycopg.connect(ready.dsn, autocommit=True) as db, db.transaction():
        publish_events((search("fine") for _ in range(3)), session=db)
        db.execute(publish, (TYPE, text_of("validator", "hang")))
        publish_events((search("fine") for _ in range(3)), session=db)
    ready.execute("INSERT INTO events.attempts VALUES ('test_unreadable', 4, 4, now(), now() - interval '1 minute')")
    ready.relay()
    ready.worker(**LIMITS)
    ready.wait_applied("test_unreadable", 6, timeout=90)
    wait_until(lambda: ready.value("SELECT count(*) FROM events.dead_letters"), timeout=90, what="the dead letter")
    assert ready.value("SELECT position FROM events.dead_letters") == 4
    assert ready.value("SELECT error_class FROM events.dead_letters") in ("SoftTimeLimitExceeded", "WorkerLost")


@pytest.mark.timeout(900)
@long_on_rabbitmq
@pytest.mark.chaos  # for its length
def test_what_a_killed_worker_ran_in_the_database_ends_with_it(ready: Platform) -> None:
    """Its locks would hold up whoever comes after it, for as long as a statement may take."""
    running = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%pg_sleep%'"
    publish_events([search("hang in sql")])
    ready.relay()
    worker = ready.worker()
    alone = f"{running} AND pid <> pg_backend_pid()".replace("%", "%%")
    wait_until(lambda: ready.value(alone), what="the statement")
    worker.kill()
    wait_until(lambda: ready.value(alone) == 0, timeout=20, what="its end, long before the statement's own limit")
    assert get_settings().statement_timeout > 20
