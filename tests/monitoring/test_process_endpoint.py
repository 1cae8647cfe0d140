"""What processes count themselves: it agrees with the tables, whichever of them are killed and replaced."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from uuid import UUID

import psutil
import pytest
import redis

from fundlyhub import publish_event, publish_events
from fundlyhub.embedded.ports import free_port
from fundlyhub.events import Event
from fundlyhub.testing.providers import Behaviour, SendGrid
from tests.monitoring.pages import Numbers, asked, parsed
from tests.notifications.conftest import close_breakers
from tests.notifications.post import registered
from tests.support import ROOT
from tests.support.make import initiated, search
from tests.support.platform import Platform, Process, wait_until
from tests.support.processors import TABLES

EVENTS, GIFTS, BATCH, PROCESSES = 120, 200, 20, 2
ON_ANY_PORT = {"FUNDLYHUB_METRICS_PORT": "0"}


@pytest.fixture
def ready(platform: Platform) -> Iterator[Platform]:
    """A platform whose mails go to a provider that has some trouble first."""
    close_breakers()
    platform.execute(TABLES)
    with SendGrid.running() as mailer:
        platform.environment |= {
            "TMPDIR": str(platform.folder),
            "FUNDLYHUB_EMAIL_BACKEND": "sendgrid",
            "FUNDLYHUB_SENDGRID_API_KEY": "SG.key",
            "FUNDLYHUB_SENDGRID_BASE_URL": mailer.url,
        }
        mailer.behave(Behaviour(status=400), Behaviour(status=500))
        platform.mailer = mailer  # type: ignore[attr-defined]
        yield platform


def page(process: Process) -> str:
    """Where its endpoint is."""
    process.said("numbers of this process at")
    found = re.search(r"numbers of this process at (\S+)/metrics", process.log.read_text())
    assert found is not None
    return found[1]


def numbers(process: Process) -> Numbers:
    """What a process has counted."""
    status, text = asked(f"{page(process)}/metrics")
    assert status == 200
    return parsed(text)


def ended(found: Numbers, processor: str, outcome: str) -> int:
    """Events of a processor that ended so, of all types."""
    name = "fundlyhub_worker_events_total"
    return int(sum(value for key, value in found.items() if key[:3] == (name, outcome, processor)))


def children(worker: Process) -> list[int]:
    """The processes of a worker: the endpoint's, which is made first, and those that run batches."""
    return sorted(one.pid for one in psutil.Process(worker.popen.pid).children())


def claims(platform: Platform, processor: str) -> int:
    return int(platform.value(
        "SELECT (SELECT count(*) FROM analytics.processed_events WHERE processor = %s)"
        " + (SELECT count(*) FROM app.processed_events WHERE processor = %s)", processor, processor,
    ))  # fmt: skip


def letters(platform: Platform, processor: str) -> int:
    return int(platform.value("SELECT count(*) FROM events.dead_letters WHERE processor = %s", processor))


@pytest.mark.chaos
@pytest.mark.parametrize("platform", ["valkey"], indirect=True)
@pytest.mark.timeout(900)
def test_counters_agree_with_the_tables_while_processes_are_killed_and_replaced(ready: Platform) -> None:
    port = str(free_port())
    relay = ready.relay(**ON_ANY_PORT)
    queues = "writes,projections,notifications,broadcasts"
    worker = ready.worker(queues, concurrency=PROCESSES, FUNDLYHUB_METRICS_PORT=port)
    endpoint = children(worker)[0]
    assert asked(f"{page(worker)}/healthz") == (200, '{"ok": true}')
    wait_until(lambda: asked(f"{page(worker)}/readyz")[0] == 200, what="a worker that has all it needs")

    # Children die in handlers, each before its commit: not one event is counted wrong.
    publish_events(search(word) for word in ["fine"] * EVENTS + ["permanent"] * 3 + ["kill", "fine"])
    publish_events([Event.of(registered(UUID(int=n))) for n in range(1, 13)])
    wait_until(lambda: claims(ready, "test_count") == EVENTS + 1 and letters(ready, "test_count") == 4,
               timeout=90, what="all of it to be settled")  # fmt: skip
    wait_until(lambda: claims(ready, "email_notification") + letters(ready, "email_notification") == 12, what="mails")
    # An event that the sweep has sent twice may end dead twice, and is one letter.
    wait_until(lambda: ended(numbers(worker), "test_count", "dead") >= 4, what="the last to be counted")
    found = numbers(worker)
    assert ended(found, "test_count", "done") == claims(ready, "test_count")
    assert found["fundlyhub_worker_events_total", "dead", "test_count", "search.query.submitted"] >= 4
    assert ended(found, "email_notification", "done") == claims(ready, "email_notification") == 10
    assert ended(found, "email_notification", "dead") >= letters(ready, "email_notification") == 2
    name = "fundlyhub_provider_call_seconds_count"
    calls = {key[1]: value for key, value in found.items() if (key[0], key[-1]) == (name, "sendgrid")}
    assert calls == {"accepted": 10, "refused": 1, "unknown": 1}
    assert sum(calls.values()) == ready.mailer.requests  # type: ignore[attr-defined]
    for name in ("handler_seconds", "commit_seconds", "batch_events"):
        assert found[f"fundlyhub_worker_{name}_count", "test_count"] > 0
    assert found["fundlyhub_worker_batch_events_sum", "test_count"] >= EVENTS + 5

    # Children are killed at any moment: what was committed and not counted is a batch for each of them, at most.
    def more(gifts: int) -> bool:
        return claims(ready, "test_slow") > gifts

    def replaced(victim: int) -> bool:
        return victim not in (found := children(worker)) and len(found) == PROCESSES + 1

    kills = 0
    for gift in range(0, GIFTS, 50):
        publish_events(initiated() for _ in range(50))
        wait_until(partial(more, gift), what="some of them")
        victims = [child for child in children(worker) if child != endpoint]
        victim = victims[kills % len(victims)]
        os.kill(victim, signal.SIGKILL)
        kills += 1
        wait_until(partial(replaced, victim), what="the one in its place")
    wait_until(lambda: claims(ready, "test_slow") == GIFTS, timeout=90, what="all gifts")
    wait_until(lambda: numbers(worker)["fundlyhub_worker_processes",] == PROCESSES, what="those that live")

    def counted() -> bool:
        found = numbers(worker)
        done, again = ended(found, "test_slow", "done"), ended(found, "test_slow", "skipped")
        assert done <= GIFTS
        return GIFTS - kills * BATCH <= done and done + again >= GIFTS  # what was not counted came back, and was

    wait_until(counted, what="the last to be counted")
    folder = ready.folder / f"fundlyhub-metrics-{os.getuid()}-{port}"
    kinds = 3  # counters, histograms, gauges
    assert len(list(folder.glob("*.db"))) <= kinds * (PROCESSES + 2), "the dead have one together, and the main process"

    # The worker as a whole is killed: the next one begins anew, at the same port.
    before = claims(ready, "test_slow")
    worker.kill()
    again = ready.worker(queues, concurrency=PROCESSES, FUNDLYHUB_METRICS_PORT=port)
    publish_events(initiated() for _ in range(50))
    wait_until(lambda: ended(numbers(again), "test_slow", "done") == 50, what="the new ones alone")
    assert claims(ready, "test_slow") == before + 50

    found, head = numbers(relay), ready.value("SELECT count(*) FROM events.events")
    assert sum(value for key, value in found.items() if key[0] == "fundlyhub_relayed_events_total") == head
    assert found["fundlyhub_relayed_events_total", "donation.initiated"] == GIFTS + 50
    assert found["fundlyhub_relayed_messages_total", "test_slow"] >= (GIFTS + 50) / BATCH
    assert again.terminate() == 0
    assert relay.terminate() == 0
    assert not psutil.pid_exists(again.popen.pid)


@pytest.mark.parametrize("platform", ["valkey"], indirect=True)
def test_an_ingest_counts_its_entries_and_says_whether_it_is_ready(platform: Platform) -> None:
    client = redis.Redis.from_url(platform.environment["FUNDLYHUB_REDIS_URL"])
    argv = [sys.executable, "-m", "fundlyhub", "ingest"]
    process = platform.start("ingest", argv, {**ON_ANY_PORT, "FUNDLYHUB_INGEST_STREAMS": "events"})
    wait_until(lambda: process.said("connected"), what="the ingest")
    client.xadd("events", {"no": "event"})
    name = "fundlyhub_ingested_entries_total"
    wait_until(lambda: numbers(process).get((name, "quarantined")) == 1, what="the entry")
    assert asked(f"{page(process)}/readyz")[0] == 200
    assert process.terminate() == 0


@pytest.mark.parametrize("platform", ["valkey"], indirect=True)
@pytest.mark.chaos  # for its length
def test_a_port_that_is_taken_and_an_extra_that_is_missing_are_said_at_the_start(
    platform: Platform, tmp_path: Path
) -> None:
    relay = platform.relay(**ON_ANY_PORT)
    wait_until(lambda: relay.said("numbers of this process at"), what="the endpoint")
    taken = page(relay).rpartition(":")[2]
    without = tmp_path / "without"
    without.mkdir()
    (without / "prometheus_client.py").write_text("raise ImportError")
    for launched, said in (
        (platform.launch_worker("projections", FUNDLYHUB_METRICS_PORT=taken), "cannot listen at 127.0.0.1"),
        (
            platform.launch_worker("projections", FUNDLYHUB_METRICS_PORT="0", PYTHONPATH=f"{without}:{ROOT}"),
            "fundlyhub[metrics]",
        ),
        (platform.relay(**ON_ANY_PORT, PYTHONPATH=f"{without}:{ROOT}"), "fundlyhub[metrics]"),
    ):
        assert launched.popen.wait(30) in (1, 2)
        assert said in launched.log.read_text()
    publish_event(search("fine"))
