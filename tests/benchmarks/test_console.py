"""The console's benchmark asks for every page, and runs."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from benchmarks.console.__main__ import TABS
from benchmarks.console.requests import NOT_REQUESTED, asked
from fundlyhub.console.api import ROUTES
from fundlyhub.console.api.routing import PREFIX
from fundlyhub.console.pages import PAGES
from tests.support import ROOT
from tests.support.command import environment

FEW = {"events": 5_000, "letters": 200, "faults": 20, "messages": 1_000, "contacts": 500, "quarantine": 200}


def test_each_page_and_each_route_that_shows_something_is_requested() -> None:
    pages = {page.path for page in PAGES if page.method == "GET"}
    routes = {f"{PREFIX}{route.path}" for route in ROUTES if route.method == "GET"}
    names = [one.name for one in asked()]
    assert len(set(names)) == len(names)
    left_out = {path for path in pages | routes if path.removeprefix(PREFIX) in NOT_REQUESTED}
    assert (pages | routes) - set(names) == left_out


@pytest.mark.chaos
def test_it_runs_with_few_rows_and_reports_each_request_and_each_tab() -> None:
    argv = [sys.executable, "-m", "benchmarks.console", "--rounds", "2", "--seconds", "1"]
    sizes = [part for name, rows in FEW.items() for part in (f"--{name}", str(rows))]
    done = subprocess.run(
        [*argv, *sizes], env=environment({}), cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    said = {row[0].strip("` "): row[1:] for row in (line.strip("|").split("|") for line in done.stdout.splitlines())}
    for one in asked():
        p50, p95 = (float(cell) for cell in said[one.name][:2])
        assert 0 < p50 <= p95, one.name
    for name in TABS:
        assert re.fullmatch(r"\d+\.\d\d", said[name][0].strip()), name
