"""Real workers on both brokers: kills, poison, hangs, retries, purged queues; totals stay exact."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from decimal import Decimal

import psycopg
import pytest

from fundlyhub import publish_events
from tests.support.make import completed, initiated, search
from tests.support.platform import Platform, Process, wait_until
from tests.support.processors import TABLES
from tests.support.rabbitmq import long_on_rabbitmq

EFFECTS = "SELECT count(*) FROM analytics.test_effects WHERE processor = %s"
DOUBLE = """
    SELECT count(*) FROM (SELECT 1 FROM analytics.test_effects GROUP BY processor, position HAVING count(*) > 1) d
"""


@pytest.fixture
def ready(platform: Platform) -> Platform:
    """A platform with the tables of the test's processors."""
    platform.execute(TABLES)
    return platform


def exactly_once(platform: Platform, processor: str, events: int) -> None:
    """Each event has one claim and one effect."""
    assert platform.applied(processor) == events
    assert platform.value(EFFECTS, processor) == events
    assert platform.value(DOUBLE) == 0


def kill_in_mid_batch(platform: Platform, kills: int, events: int) -> None:
    """Kill whole workers while they are at work, until so many kills have fallen; then check the money too."""
    publish_events(initiated() for _ in range(events))
    gifts = [completed(amount=Decimal(n)) for n in range(1, events // 2)]
    publish_events(gifts)
    platform.relay()
    rng = random.Random(kills)
    for kill in range(kills):
        before = platform.applied("test_slow")
        worker = platform.worker()
        target = min(before + rng.randrange(1, max(2, events // (kills + 1))), events - 1)
        platform.wait_applied("test_slow", target)
        time.sleep(rng.uniform(0, 0.05))  # not a wait for anything: it moves the kill within the batch
        worker.kill()
        assert platform.applied("test_slow") < events, f"kill {kill} came too late to hit anything"
    platform.worker()
    platform.wait_applied("test_slow", events)
    platform.wait_applied("test_count", events)
    platform.wait_applied("campaign_stats", len(gifts))
    raised = "SELECT sum(total_raised), sum(donation_count) FROM analytics.campaign_stats_projection"
    with psycopg.connect(platform.dsn) as db:
        assert db.execute(raised).fetchone() == (sum(gift.amount for gift in gifts), len(gifts))


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_totals_are_exact_after_twenty_kills_in_mid_batch(ready: Platform) -> None:
    kill_in_mid_batch(ready, kills=20, events=10_000)
    exactly_once(ready, "test_slow", 10_000)
    assert ready.value(EFFECTS, "test_count") == 10_000


@pytest.mark.chaos
def test_a_killed_child_loses_and_doubles_nothing(ready: Platform) -> None:
    publish_events(initiated() for _ in range(1_500))
    ready.relay()
    worker = ready.worker()
    for share in (200, 600, 1_000):
        ready.wait_applied("test_slow", share)
        subprocess.run(["pkill", "-KILL", "-P", str(worker.popen.pid)], check=False)
    ready.wait_applied("test_slow", 1_500)
    ready.wait_applied("test_count", 1_500)
    exactly_once(ready, "test_slow", 1_500)


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_an_event_that_kills_its_worker_is_dead_and_its_batch_is_applied(ready: Platform) -> None:
    words = ["fine"] * 99
    words.insert(40, "kill")
    published = publish_events(search(word) for word in words)
    ready.relay()
    ready.worker()
    ready.wait_applied("test_count", 99, timeout=120)
    wait_until(lambda: ready.value("SELECT count(*) FROM events.dead_letters"), timeout=120, what="the dead letter")
    assert ready.value("SELECT position FROM events.dead_letters") == published[40].position
    assert ready.value("SELECT error_class FROM events.dead_letters") == "WorkerLost"
    exactly_once(ready, "test_count", 99)


@long_on_rabbitmq
def test_a_retry_comes_back_after_its_wait(ready: Platform) -> None:
    publish_events([search("transient"), search("fine")])
    ready.relay()
    worker = ready.worker()
    ready.wait_applied("test_count", 1)
    wait_until(lambda: (ready.value("SELECT attempts FROM events.attempts") or 0) >= 2, what="a second attempt")
    exactly_once(ready, "test_count", 1)
    assert "refused a message" not in worker.log.read_text(), "it is the worker's own message, not the sweep's"


@pytest.mark.chaos
def test_every_queue_purged_in_mid_run_is_healed_by_the_sweep(ready: Platform) -> None:
    ready.relay()
    publish_events(initiated() for _ in range(1_000))
    wait_until(lambda: ready.relayed() >= 1_000, what="the relay")
    ready.purge()
    publish_events(initiated() for _ in range(500))
    worker = ready.worker()
    ready.wait_applied("test_slow", 300)
    ready.purge()
    assert worker.popen.poll() is None
    ready.wait_applied("test_slow", 1_500)
    ready.wait_applied("test_count", 1_500)
    exactly_once(ready, "test_slow", 1_500)


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_a_broker_replaced_by_an_empty_one_is_healed_by_the_sweep(ready: Platform) -> None:
    ready.relay()
    ready.worker(kept=True)
    publish_events(initiated() for _ in range(1_000))
    ready.wait_applied("test_slow", 100)
    ready.replace_broker()
    publish_events(initiated() for _ in range(500))
    ready.wait_applied("test_slow", 1_500, timeout=180)
    ready.wait_applied("test_count", 1_500, timeout=60)
    exactly_once(ready, "test_slow", 1_500)


@long_on_rabbitmq
@pytest.mark.chaos  # for its length
def test_sigterm_lets_the_batch_finish_and_the_next_worker_takes_the_rest(ready: Platform) -> None:
    publish_events(initiated() for _ in range(1_000))
    ready.relay()
    worker = ready.worker(FUNDLYHUB_STOP_LIMIT="2")
    ready.wait_applied("test_slow", 100)
    worker.terminate()
    ready.worker()
    ready.wait_applied("test_slow", 1_000)
    ready.wait_applied("test_count", 1_000)
    exactly_once(ready, "test_slow", 1_000)


@long_on_rabbitmq
@pytest.mark.chaos  # for its length
def test_a_worker_with_other_settings_refuses_to_start(ready: Platform) -> None:
    folder = ready.folder / "api"
    folder.mkdir()
    (folder / "celeryconfig.py").write_text(
        "from fundlyhub.processing.celery_settings import *\ntask_acks_late = False\n"
    )
    argv = [sys.executable, "-m", "celery", "-A", "fundlyhub", "worker", "-Q", "projections"]
    environment = {**ready.environment, "PYTHONPATH": f"{folder}:{ready.environment['PYTHONPATH']}"}
    done = subprocess.run(argv, env=environment, cwd=folder, capture_output=True, timeout=60, text=True)
    assert done.returncode == 2
    assert "fundlyhub: celeryconfig differs from fundlyhub's: task_acks_late must be True" in done.stderr
    assert "Traceback" not in done.stderr


def test_flower_and_the_logs_see_positions_and_no_payload(ready: Platform) -> None:
    publish_events([search("a-secret-word"), search("permanent")])
    ready.relay()
    worker: Process = ready.worker()
    ready.wait_applied("test_count", 1)
    wait_until(lambda: ready.value("SELECT count(*) FROM events.dead_letters"), what="the dead letter")
    wait_until(lambda: worker.said("projections.test_count"), what="the task in the log")
    assert "a-secret-word" not in worker.log.read_text()
