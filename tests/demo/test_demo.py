"""`fundlyhub demo` as a new user runs it: verified, told in JSON, ended cleanly, and able to say no."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path

import psutil
import pytest

from fundlyhub.database import connect, get_engine
from fundlyhub.demo import business
from fundlyhub.demo.check import compare
from fundlyhub.demo.publisher import Publisher
from fundlyhub.demo.stream import Stream
from fundlyhub.processing.executor import execute
from fundlyhub.processors.projections.campaign_stats import CampaignStatsProcessor
from fundlyhub.settings import Settings
from tests.support.platform import wait_until

WITHOUT = {name: value for name, value in os.environ.items() if not name.startswith("FUNDLYHUB_")}


def argv(folder: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "fundlyhub", "demo", "--data-dir", str(folder), *options]


@pytest.fixture
def folder(server_root: Path) -> Path:
    """A data folder that PostgreSQL's account can reach."""
    return server_root / f"demo-{os.urandom(4).hex()}"


def test_it_verifies_every_number_and_says_so_in_one_document(folder: Path) -> None:
    done = subprocess.run(
        argv(folder, "--events", "1500", "--json"),
        env=WITHOUT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["verified"] is True
    assert found["mismatches"] == []
    assert found["events"] >= 1_500
    assert found["applied"] + found["passed_over"] == found["events"]
    assert found["rolled_back"] > 0
    assert found["duplicates"] > 0
    assert found["throughput_events_per_s"] > 0
    assert 0 < found["latency_ms"]["p50"] <= found["latency_ms"]["p95"] <= found["latency_ms"]["p99"]


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


def test_a_number_that_differs_is_found(settings: Settings) -> None:
    run = published(settings)
    assert compare(settings, run).mismatches == []
    with connect("analytics", settings=settings) as db:
        db.execute(
            """UPDATE campaign_stats_projection SET total_raised = total_raised + 0.01
               WHERE (campaign_id, currency) = (SELECT campaign_id, currency FROM campaign_stats_projection
                                                ORDER BY donation_count DESC LIMIT 1)"""
        )
    wrong = compare(settings, run).mismatches
    raised = next(item for item in wrong if item["column"] == "total_raised")
    assert Decimal(raised["found"]) - Decimal(raised["expected"]) == Decimal("0.01")


def test_a_campaign_that_is_missing_or_one_too_many_is_found(settings: Settings) -> None:
    run = published(settings)
    with connect("analytics", settings=settings) as db:
        db.execute("DELETE FROM campaign_stats_projection WHERE donation_count = 1")
    missing = compare(settings, run).mismatches
    assert missing
    assert all(item["found"] is None for item in missing)
    with connect("events", settings=settings) as db:
        db.execute("DELETE FROM demo.donations")
    surplus = compare(settings, run).mismatches
    assert surplus
    assert all(item["expected"] is None for item in surplus)


def published(settings: Settings) -> int:
    """A small stream, published and applied in this process."""
    with connect("events", settings=settings) as db:
        db.execute(business.DDL)
        row = db.execute(business.NEW_RUN, (7,)).fetchone()
    assert row is not None
    wanted = frozenset(CampaignStatsProcessor.patterns())
    publisher = Publisher(get_engine("events"), wanted, threading.Event())
    publisher.run(Stream(7, row[0], 400).transactions())
    execute(CampaignStatsProcessor, publisher.tally.wanted)
    return int(row[0])
