"""`fundlyhub demo` as a new user runs it: verified, told in JSON, ended cleanly, and able to say no."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from fundlyhub.database import connect, get_engine
from fundlyhub.demo import business
from fundlyhub.demo.check import compare
from fundlyhub.demo.publisher import Publisher
from fundlyhub.demo.run import PROCESSORS, TAKERS
from fundlyhub.demo.stream import Stream
from fundlyhub.embedded.postgres import Postgres
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.processing.executor import execute
from fundlyhub.settings import Branch, Settings
from fundlyhub.testing.databases import copy_of, environment_of
from tests.support.platform import wait_until

WITHOUT = {name: value for name, value in os.environ.items() if not name.startswith("FUNDLYHUB_")}


def argv(folder: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "fundlyhub", "demo", "--data-dir", str(folder), *options]


@pytest.fixture
def folder(server_root: Path) -> Path:
    """A data folder that PostgreSQL's account can reach."""
    return server_root / f"demo-{os.urandom(4).hex()}"


@pytest.mark.chaos  # for its length
@pytest.mark.timeout(900)
def test_it_verifies_every_number_and_says_so_in_one_document(folder: Path) -> None:
    done = subprocess.run(
        argv(folder, "--events", "1000", "--json"),
        # A machine that is set up to send: made-up people are not written to all the same.
        env={**WITHOUT, "FUNDLYHUB_EMAIL_BACKEND": "smtp", "FUNDLYHUB_SMTP_URL": "smtp://127.0.0.1:1"},
        capture_output=True,
        text=True,
        timeout=290,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["verified"] is True
    assert found["mismatches"] == []
    assert found["events"] >= 1_000
    assert found["applied"] + found["passed_over"] == found["events"]
    assert found["rolled_back"] > 0
    assert found["duplicates"] > 0
    assert found["effects"] > found["applied"]
    assert min(found["checked"].values()) > 20
    assert found["messages"]["email"] > 700
    assert found["messages"]["push"] > 20
    assert found["outage"]["mails"] == 100
    assert found["outage"]["refused"] < 30, "only what was under way when the breaker opened, and probes"
    path = found["outage"]["breaker"]
    assert path[:3] == ["closed", "open", "half-open"]
    assert path[-2:] == ["half-open", "closed"]
    assert found["throughput_events_per_s"] >= found["whole_events_per_s"] > 0
    assert 0 < found["latency_ms"]["p50"] <= found["latency_ms"]["p95"] <= found["latency_ms"]["p99"]


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_through_the_api_service_it_verifies_the_same(folder: Path) -> None:
    done = subprocess.run(
        argv(folder, "--api", "--events", "300", "--no-outage", "--json"),
        env=WITHOUT, capture_output=True, text=True, timeout=290, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["verified"], found["mismatches"], found["api"]) == (True, [], True)
    assert found["events"] > 350, "the rush, and five seconds of gifts"
    assert found["rolled_back"] > 0, "refused requests, some of whose events had been published"
    assert found["duplicates"] > 0
    assert min(found["checked"].values()) > 20
    assert found["messages"]["email"] > 100


@pytest.mark.chaos
def test_ctrl_c_in_mid_run_leaves_no_process_behind(folder: Path) -> None:
    with (folder.parent / f"{folder.name}.err").open("w") as err:
        running = subprocess.Popen(argv(folder, "--events", "200000"), env=WITHOUT, stdout=err, stderr=err)
    below: list[psutil.Process] = []

    def publishing() -> bool:
        assert running.poll() is None, Path(err.name).read_text()
        return "publishing" in Path(err.name).read_text()

    wait_until(publishing, what="the first events")
    below = psutil.Process(running.pid).children(recursive=True)
    assert len(below) > 4
    running.send_signal(signal.SIGINT)
    assert running.wait(60) == 130
    assert "nothing was verified" in Path(err.name).read_text()
    _, left = psutil.wait_procs(below, timeout=30)
    assert not left


TAMPERED: dict[str, tuple[Branch, str]] = {
    "statistics": ("analytics", "UPDATE campaign_stats_projection SET total_raised = total_raised + 0.01"),
    "subscription": ("app", "UPDATE follows SET follows = NOT follows"),
    "followers": ("app", "UPDATE follow_counts SET follower_count = follower_count + 1 WHERE kind = 'organization'"),
    "line": ("app", "DELETE FROM timeline_entries WHERE kind = 'campaign'"),
    "line of what is hidden": ("app", "UPDATE entities SET shown = true"),
    "search": ("analytics", "DELETE FROM user_search_projection"),
}
"""What is done to a database; the first word begins what must be said to differ."""


@pytest.fixture(scope="module")
def finished(
    postgres: Postgres, valkey: Valkey, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, int]]:
    """The name of a database in which a run has come to its end, and the run's number."""
    with copy_of(postgres, template) as dsn:
        with environment_of(dsn, valkey, tmp_path_factory.mktemp("run")) as settings:
            run = published(settings)
        yield dsn.rpartition("/")[2], run


class TestAfterARun:
    @pytest.fixture
    def dsn(self, postgres: Postgres, finished: tuple[str, int]) -> Iterator[str]:
        """A copy of what the run has left."""
        with copy_of(postgres, finished[0]) as dsn:
            yield dsn

    @pytest.fixture
    def run(self, finished: tuple[str, int]) -> int:
        """Its number."""
        return finished[1]

    @pytest.mark.parametrize("what", TAMPERED)
    @pytest.mark.chaos  # for its length
    def test_whatever_differs_is_found(self, settings: Settings, run: int, what: str) -> None:
        checked = compare(settings, run)
        assert checked.mismatches == []
        assert min(checked.checked.values()) > 20
        branch, harm = TAMPERED[what]
        with connect(branch, settings=settings) as db:
            db.execute(harm)
        wrong = compare(settings, run).mismatches
        assert any(item["what"].startswith(what.split()[0]) for item in wrong)
        assert all(item["expected"] != item["found"] for item in wrong)

    def test_what_is_missing_and_what_is_too_much_is_found(self, settings: Settings, run: int) -> None:
        with connect("analytics", settings=settings) as db:
            db.execute("DELETE FROM campaign_stats_projection WHERE donation_count = 1")
        missing = compare(settings, run).mismatches
        assert missing
        assert all(item["found"] is None for item in missing)
        with connect("events", settings=settings) as db:
            db.execute("DELETE FROM demo.donations")
        surplus = [item for item in compare(settings, run).mismatches if item["what"].startswith("statistics")]
        assert surplus
        assert all(item["expected"] is None for item in surplus)


def published(settings: Settings) -> int:
    """A small stream, published and applied in this process."""
    with connect("events", settings=settings) as db:
        db.execute(business.DDL)
        row = db.execute(business.NEW_RUN, (7,)).fetchone()
    assert row is not None
    publisher = Publisher(get_engine("events"), TAKERS, threading.Event())
    publisher.run(Stream(7, row[0], 1_500).transactions())
    with connect("events", settings=settings) as db:
        types: dict[int, str] = dict(db.execute("SELECT position, type FROM events.events").fetchall())
    for processor in PROCESSORS.values():
        execute(processor, [position for position, kind in types.items() if kind in processor.patterns()])
    return int(row[0])


@pytest.mark.chaos  # for its length
def test_what_an_older_version_left_in_another_shape_goes(settings: Settings) -> None:
    with connect("events", settings=settings) as db:
        db.execute("CREATE SCHEMA demo")
        db.execute("CREATE TABLE demo.campaigns (run int NOT NULL, id uuid PRIMARY KEY)")
    assert compare(settings, published(settings)).mismatches == []
    with connect("events", settings=settings) as db:
        db.execute(business.DDL)
        assert db.execute("SELECT count(*) > 0 FROM demo.campaigns").fetchone() == (True,)
