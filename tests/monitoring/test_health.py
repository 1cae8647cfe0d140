"""`fundlyhub health`: good while everything is there, bad when a part of it is away, dead or silent."""

from __future__ import annotations

import json
import time
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from fundlyhub import publish_events
from fundlyhub.errors import Unavailable
from fundlyhub.monitoring.health import MAX_LAG, checks
from fundlyhub.settings import Settings
from tests.support.make import completed
from tests.support.platform import Platform, wait_until
from tests.support.rabbitmq import RabbitNode

STATS = "campaign_stats"
DEAD_END = "127.0.0.1:1"
SECRET = "s3cret-of-the-test"


def health(platform: Platform, *args: str, **variables: str) -> tuple[int, dict[str, Any], str]:
    """Exit status, what is wrong and why, and all that was printed."""
    before = dict(platform.environment)
    platform.environment.update(variables)
    try:
        done = platform.run("health", "--json", *args)
    finally:
        platform.environment = before
    document = json.loads(done.stdout)
    assert document["ok"] == (done.returncode == 0)
    bad = {one["check"]: one["said"] for one in document["checks"] if not one["ok"]}
    assert all(len(said.splitlines()) == 1 for said in bad.values())
    return done.returncode, bad, done.stdout + done.stderr


def led(platform: Platform) -> Any:
    """A relay that leads."""
    relay = platform.relay()
    wait_until(lambda: json.loads(platform.run("relay", "status", "--json").stdout)["leader"], what="a leader")
    return relay


@pytest.fixture
def running(platform: Platform) -> Platform:
    """A platform with a relay that leads and a worker for each queue."""
    led(platform)
    platform.worker("writes,projections,notifications,broadcasts", concurrency=1)
    return platform


@pytest.mark.chaos  # for its length
def test_good_while_everything_is_there(running: Platform) -> None:
    roles = [("--role", role) for role in ("relay", "worker", "ingest", "api")]
    found = {options: health(running, *options)[:2] for options in [(), *roles]}
    assert found == dict.fromkeys(found, (0, {}))
    # The queue of rebuilds needs a worker only while there is one.
    assert running.run("rebuild", "start", STATS).returncode == 0
    assert health(running)[1]["workers"].startswith("no worker consumes rebuilds: start one ")
    assert health(running, "--role", "worker")[:2] == (0, {})
    assert "No worker consumes the queue rebuilds: start one " in running.run("rebuild", "status", STATS).stdout
    wait_until(lambda: "No worker consumes rebuilds." in running.run("status").stdout, what="its tasks to wait")
    assert running.run("rebuild", "cancel", STATS).returncode == 0
    assert health(running)[:2] == (0, {})


def test_a_dead_relay_is_seen_by_what_it_does_not_do(platform: Platform) -> None:
    relay = led(platform)
    publish_events([completed()])
    wait_until(lambda: health(platform, "--role", "relay", "--max-lag", "0")[0] == 0, what="the event to be relayed")
    relay.kill()
    publish_events([completed()])
    status, bad, _ = wait_until(
        lambda: len((found := health(platform, "--role", "relay", "--max-lag", "0.1"))[1]) > 1 and found,
        what="a bad state",
    )
    assert status == 1
    assert set(bad) == {"relay leads", "relay keeps up"}
    assert "nobody leads" in bad["relay leads"]
    assert bad["relay keeps up"].startswith("1 events are not relayed, the oldest for ")
    assert health(platform, "--role", "worker")[:2] == (0, {}), "workers are not to be restarted for it"
    led(platform)
    wait_until(lambda: health(platform, "--role", "relay")[0] == 0, what="a good state again")


def test_a_database_that_is_away_or_has_no_tables(running: Platform, postgres: Any) -> None:
    away = f"postgresql://ada:{SECRET}@{DEAD_END}/x"
    status, bad, printed = health(running, FUNDLYHUB_ANALYTICS_DSN=away)
    assert (status, set(bad)) == (1, {"analytics database", "processors keep up"})
    assert bad["analytics database"].startswith(f"cannot reach the analytics database at {DEAD_END}/x")
    assert SECRET not in printed
    assert health(running, "--role", "api", FUNDLYHUB_ANALYTICS_DSN=away)[0] == 0, "publishing needs the log alone"

    running.execute("UPDATE app.alembic_version SET version_num = 'app_0001'")
    status, bad, _ = health(running)
    assert (status, set(bad)) == (1, {"app database"})
    assert "run `fundlyhub migrate`" in bad["app database"]


def test_a_broker_or_a_redis_that_is_away(running: Platform) -> None:
    scheme = running.environment["FUNDLYHUB_BROKER_URL"].partition(":")[0]
    away = f"{scheme}://ada:{SECRET}@{DEAD_END}/"
    status, bad, printed = health(
        running, FUNDLYHUB_BROKER_URL=away, FUNDLYHUB_REDIS_URL=f"redis://:{SECRET}@{DEAD_END}"
    )
    assert (status, set(bad)) == (1, {"broker", "redis", "workers"})
    assert bad["broker"].startswith(f"cannot reach the broker at {DEAD_END}")
    assert bad["redis"].startswith(f"Redis at {DEAD_END} failed")
    assert SECRET not in printed
    assert health(running, "--role", "ingest", FUNDLYHUB_STREAMS_URL=f"redis://{DEAD_END}")[1].keys() == {"streams"}


def test_every_node_of_a_cluster_is_asked_and_one_that_answers_is_enough(rabbitmq: RabbitNode) -> None:
    here, away = rabbitmq.url, f"amqp://ada:{SECRET}@{DEAD_END}//"
    for urls in ([here, away], [away, here]):
        assert nodes_of(urls).startswith(f"1 of 2 nodes answer; cannot reach the broker at {DEAD_END}")
    assert nodes_of([here, here]) == "all 2 nodes answer"
    assert nodes_of([here]) == "answers"
    with pytest.raises(Unavailable, match=DEAD_END) as caught:
        nodes_of([away, away])
    assert SECRET not in str(caught.value)


def nodes_of(urls: list[str]) -> str:
    """What the check of a broker with these nodes says."""
    dsn, url = SecretStr("postgresql://a@b/c"), SecretStr(";".join(urls))
    settings = Settings(events_dsn=dsn, app_dsn=dsn, analytics_dsn=dsn, broker_url=url)
    return checks(settings, "worker", MAX_LAG)["broker"]()


@pytest.mark.chaos  # for its length
def test_a_broker_that_hangs_is_waited_for_in_vain_and_not_for_long(running: Platform) -> None:
    with running.broker_held():
        began = time.monotonic()
        status, bad, _ = health(running, "--role", "worker", FUNDLYHUB_CONNECT_TIMEOUT="2")
        took = time.monotonic() - began
    assert status == 1
    assert "broker" in bad
    assert took < 12


def test_a_database_that_accepts_and_then_says_nothing(running: Platform) -> None:
    with psycopg.connect(running.dsn) as other:
        other.execute("LOCK TABLE events.relay_cursors, events.alembic_version")  # whoever looks waits
        began = time.monotonic()
        status, bad, _ = health(running, "--role", "relay", FUNDLYHUB_CONNECT_TIMEOUT="2")
        took = time.monotonic() - began
        other.rollback()
    assert status == 1
    assert set(bad) == {"events database", "relay keeps up"}
    assert took < 12


def test_a_setting_that_is_missing_is_wrong_use(platform: Platform) -> None:
    del platform.environment["FUNDLYHUB_BROKER_URL"]
    done = platform.run("health", "--role", "worker")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("fundlyhub: FUNDLYHUB_BROKER_URL is not set")


def test_a_table_for_people(running: Platform) -> None:
    done = running.run("health")
    assert done.returncode == 0
    assert "relay keeps up" in done.stdout
