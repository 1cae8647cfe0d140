"""What tests measure is gathered in their order, in one process or in several."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.reliability import BEGIN, END

TESTS = """
import pytest
from tests.support.reliability import Record

@pytest.mark.parametrize("number", range(6))
def test_measures(number, measured):
    measured.append(Record(f"fault {number}", "here", 1))
    assert number != WRONG
"""


def measure(folder: Path, processes: int, wrong: int = -1) -> tuple[list[str], str]:
    """Run six tests that measure; the faults of the records, and the page afterwards."""
    (folder / "test_some.py").write_text(TESTS.replace("WRONG", str(wrong)))
    page = folder / "page.md"
    page.write_text(f"{BEGIN}\n{END}\n")
    argv = ["-p", "tests.support.measuring", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(folder)]
    subprocess.run(
        [sys.executable, "-m", "pytest", *argv, "-n", str(processes), str(folder)],
        cwd=ROOT,
        env={**os.environ, "CHAOS_RECORDS": str(folder), "RELIABILITY_PAGE": str(page)},
        capture_output=True,
        check=wrong < 0,
        timeout=60,
    )
    lines = (folder / "chaos.jsonl").read_text().splitlines()
    return [json.loads(line)["fault"] for line in lines], page.read_text()


@pytest.mark.parametrize("processes", [0, 2])
@pytest.mark.chaos  # for its length
def test_it_is_gathered_in_order(tmp_path: Path, processes: int) -> None:
    faults, page = measure(tmp_path, processes)
    assert faults == [f"fault {number}" for number in range(6)]
    assert "| fault 5 | here | 1 |" in page


@pytest.mark.chaos  # for its length
def test_the_page_stays_as_it_was_when_a_test_fails(tmp_path: Path) -> None:
    faults, page = measure(tmp_path, 2, wrong=3)
    assert len(faults) == 6
    assert page == f"{BEGIN}\n{END}\n"
