"""How a worker stops: within its limit, whatever it is doing and whoever does not answer, and nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

from fundlyhub import publish_events
from fundlyhub.processing.worker.stopping import GRACE
from tests.support.command import run
from tests.support.make import initiated, search
from tests.support.platform import Platform, Process, wait_until
from tests.support.processors import TABLES
from tests.support.rabbitmq import long_on_rabbitmq

LIMIT = 2


@pytest.fixture
def ready(platform: Platform) -> Platform:
    """A platform with the tables of the test's processors."""
    platform.execute(TABLES)
    return platform


def stop(process: Process) -> float:
    """SIGTERM, as an init system sends it; the seconds until it has ended."""
    begun = time.monotonic()
    process.popen.send_signal(signal.SIGTERM)
    process.popen.wait(LIMIT + GRACE + 30)
    return time.monotonic() - begun


def children(process: Process) -> list[str]:
    """The processes that a worker has left behind."""
    found = subprocess.run(["pgrep", "-g", str(process.popen.pid)], capture_output=True, text=True, check=False)
    return found.stdout.split()


def at_work(platform: Platform) -> bool:
    """Whether the worker says that a batch is being worked at: one that is still on its way in is not waited for."""
    done = run("celery", ["-A", "fundlyhub", "inspect", "active", "--json"], platform.environment)
    return "projections.test_count" in done.stdout


@pytest.mark.chaos  # for its length
def test_an_idle_worker_stops_at_once(ready: Platform) -> None:
    ready.relay()
    worker = ready.worker(FUNDLYHUB_STOP_LIMIT="60")
    assert stop(worker) < 30
    wait_until(lambda: not children(worker), what="the end of its children")


@long_on_rabbitmq
@pytest.mark.chaos  # for its length
def test_a_worker_that_hangs_gives_its_batch_back_when_its_limit_is_over(ready: Platform) -> None:
    publish_events([search("hang")])
    ready.relay()
    worker = ready.worker(FUNDLYHUB_STOP_LIMIT=str(LIMIT))
    wait_until(lambda: at_work(ready), what="the batch")
    assert LIMIT <= stop(worker) < LIMIT + GRACE + 10
    wait_until(lambda: not children(worker), what="the end of its children")
    ready.execute('UPDATE events.events SET payload = \'{"query": "fine"}\'')
    ready.worker()
    ready.wait_applied("test_count", 1)


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_a_worker_stops_although_a_child_of_it_never_ends(ready: Platform) -> None:
    """Celery waits for its children without a limit. Stopped, one neither runs nor takes a signal."""
    publish_events([search("hang")])
    ready.relay()
    worker = ready.worker(FUNDLYHUB_STOP_LIMIT=str(LIMIT))
    wait_until(lambda: at_work(ready), what="the batch")
    for child in children(worker):
        if int(child) != worker.popen.pid:
            os.kill(int(child), signal.SIGSTOP)
    assert stop(worker) < LIMIT + GRACE + 10
    wait_until(lambda: not children(worker), what="the end of its children")
    ready.execute('UPDATE events.events SET payload = \'{"query": "fine"}\'')
    ready.worker()
    ready.wait_applied("test_count", 1)


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_a_worker_stops_although_its_broker_is_silent(ready: Platform) -> None:
    """The broker's processes are held, as a machine that hangs holds them: connections stay open, nobody answers."""
    publish_events(initiated() for _ in range(200))
    ready.relay()
    worker = ready.worker(FUNDLYHUB_STOP_LIMIT=str(LIMIT))
    ready.wait_applied("test_slow", 20)
    with ready.broker_held():
        assert stop(worker) < LIMIT + GRACE + 10
        wait_until(lambda: not children(worker), what="the end of its children")
    ready.worker()
    ready.wait_applied("test_slow", 200)
    assert ready.value("SELECT count(*) FROM analytics.test_effects WHERE processor = 'test_slow'") == 200


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_a_worker_stops_although_its_broker_is_gone(ready: Platform) -> None:
    publish_events(initiated() for _ in range(200))
    ready.relay()
    worker = ready.worker(FUNDLYHUB_STOP_LIMIT=str(LIMIT))
    ready.wait_applied("test_slow", 20)
    ready.stop_broker()
    try:
        wait_until(lambda: worker.said("onnection"), what="that it has noticed")
        assert stop(worker) < LIMIT + GRACE + 10
        wait_until(lambda: not children(worker), what="the end of its children")
    finally:
        ready.start_broker()
    ready.worker()
    ready.wait_applied("test_slow", 200)
    assert ready.value("SELECT count(*) FROM analytics.test_effects WHERE processor = 'test_slow'") == 200
