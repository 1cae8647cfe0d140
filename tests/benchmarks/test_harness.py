"""The harness, very small: real servers and processes, and a wrong total is a failure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import changed, options
from benchmarks.data import gifts, totals
from benchmarks.plan import FULL, MEASURES, SHORT
from benchmarks.results import Results
from benchmarks.rows import ROWS
from benchmarks.stage import Failed, Place
from benchmarks.usage import cpu_seconds, memory_mb
from fundlyhub.settings import Settings
from tests.support import ROOT
from tests.support.command import environment


def test_the_command_line_changes_the_plan() -> None:
    given = options().parse_args(["--events", "10", "--rows", "ours", "--rates", "50", "--held-seconds", "1.5"])
    plan = changed(FULL, given)
    assert (plan.events, plan.rows, plan.rates, plan.held_seconds) == (10, ("ours",), (50,), 1.5)
    assert plan.mails == FULL.mails
    assert changed(SHORT, options().parse_args([])) == SHORT


def test_a_wrong_total_is_a_failure_of_the_run(settings: Settings, tmp_path: Path) -> None:
    place = Place(settings.dsn("analytics"), tmp_path, {})
    row, expected = ROWS["ours"], totals(gifts(3))
    with pytest.raises(Failed, match="totals are wrong"):
        row.verify(place, expected)
    for campaign, total in expected.items():
        raised, count, donors, largest, _ = total.row()
        place.db.execute(
            "INSERT INTO analytics.campaign_stats_projection VALUES (%s, 'USD', %s, %s, DEFAULT, %s, %s, now(), now(),"
            " 0, 0)",
            (campaign, raised, count, donors, largest),
        )
    row.verify(place, expected)
    place.db.execute("UPDATE analytics.campaign_stats_projection SET unique_donors = unique_donors + 1")
    with pytest.raises(Failed, match="totals are wrong"):
        row.verify(place, expected)
    place.close()


def test_the_cost_of_a_tree_counts_children_that_have_ended() -> None:
    before = cpu_seconds([os.getpid()])
    subprocess.run([sys.executable, "-c", "import time\nwhile time.process_time() < 0.3: pass"], check=True)
    assert cpu_seconds([os.getpid()]) - before >= 0.25
    assert memory_mb(os.getpid()) > 10


SIZES = {
    "events": 10_000, "publishing": 200, "mails": 30, "whole": 1_000, "whole-costs": 1_500, "batches": 200,
    "idle-seconds": 1, "latency-seconds": 1, "held-seconds": 1, "held-events": 5_000, "rebuild-events": 5_000,
    "rebuild-seconds": 1, "growth-small": 20_500, "growth-large": 30_000,
}  # fmt: skip
PARTS: tuple[tuple[str, ...], ...] = (
    ("drain", "latency", "hop", "publishing"),
    ("relay", "mail", "batches", "idle"),
    ("rebuild", "held"),
    ("processes", "whole"),
    ("whole_latency", "whole_costs"),
    ("growth",),
)
"""Side by side on several processes of tests: together they take minutes."""
OURS_ALONE = {"latency", "relay", "mail", "idle", "rebuild", "held"}
"""Measures in which not every row takes part."""


def test_each_measure_is_in_a_very_small_run() -> None:
    assert sorted(name for part in PARTS for name in part) == sorted(MEASURES)


@pytest.mark.chaos
@pytest.mark.timeout(1_900)
@pytest.mark.parametrize("measures", PARTS, ids=" ".join)
def test_a_very_small_run_gives_numbers_of_every_measure(tmp_path: Path, measures: tuple[str, ...]) -> None:
    out = tmp_path / "numbers.json"
    arguments = [part for name, value in SIZES.items() for part in (f"--{name}", str(value))]
    rows, whole = (
        ["ours", "celery-outbox", "limit"],
        ["whole", "whole-files", "whole-celery", "whole-celery-one", "whole-limit"],
    )
    argv = [sys.executable, "-m", "benchmarks", *arguments, "--rates", "50", "--json", "--out", str(out)]
    done = subprocess.run(
        [*argv, "--rows", *rows, *whole, "--measures", *measures],
        env=environment({}), cwd=ROOT, capture_output=True, text=True, timeout=1_800, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3_000:]
    results = Results.from_json(done.stdout)
    assert json.loads(out.read_text()) == json.loads(done.stdout)
    assert results.failures == []
    if "drain" in measures:
        assert results.rows("drain") == rows
    if "whole" in measures:
        assert results.rows("whole") == whole
    for name in measures:
        found = results.rows({"latency": "latency at 50/s", "whole_latency": "whole at 50/s"}.get(name, name))
        assert "ours" in found if name in OURS_ALONE else found
