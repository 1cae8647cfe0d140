"""A plug-in of pytest that gathers what chaos tests have measured, however many processes run them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.support.reliability import Record, put_into, table, write_lines

Measured = list[tuple[int, Record]]
"""Records, each with the place of its test in the order of all tests."""

MEASURED = pytest.StashKey[Measured]()
_GATHERED = "measured"
"""What a process of pytest-xdist calls them when it hands them over at its end."""


def pytest_configure(config: pytest.Config) -> None:
    """Nothing is measured yet."""
    config.stash[MEASURED] = []


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Iterator[list[Record]]:
    """Where a test leaves what it has measured."""
    records: list[Record] = []
    yield records
    place = request.session.items.index(request.node)
    request.config.stash[MEASURED] += [(place, record) for record in records]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A process of pytest-xdist hands its records over; they pass as plain values only."""
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[_GATHERED] = [(place, asdict(record)) for place, record in session.config.stash[MEASURED]]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over the records of a process that has ended; one that crashed has none, and its test has failed."""
    handed: list[tuple[int, dict[str, Any]]] = getattr(node, "workeroutput", {}).get(_GATHERED, [])
    node.config.stash[MEASURED] += [(place, Record(**fields)) for place, fields in handed]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config) -> None:
    """What was measured, always; as lines of JSON and in the page on reliability where that is asked for."""
    measured = config.stash[MEASURED]
    records = [record for _, record in sorted(measured, key=lambda pair: pair[0])]
    if not records or hasattr(config, "workeroutput"):  # one of several has but a part, and knows of its own failures
        return
    terminalreporter.section("measured")
    terminalreporter.write(table(records))
    if folder := os.environ.get("CHAOS_RECORDS"):
        write_lines(records, Path(folder) / "chaos.jsonl")
    if page := os.environ.get("RELIABILITY_PAGE"):
        if exitstatus == 0:
            put_into(Path(page), table(records))
        else:
            terminalreporter.write_line(f"{page} stays as it was: a test failed", red=True)
