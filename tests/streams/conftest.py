"""Streams for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fundlyhub.embedded.valkey import Valkey
from tests.streams.streams import Streams


@pytest.fixture
def streams(dsn: str, valkey: Valkey, tmp_path: Path) -> Iterator[Streams]:
    """A fresh log, and a numbered database of Valkey where nothing is."""
    with Streams(dsn, valkey, tmp_path) as ready:
        yield ready


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A server of the test's own, to be stopped and started."""
    server = Valkey(tmp_path / "valkey")
    server.start()
    yield server
    server.stop()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say that another language was not tried, so that nobody takes it for granted."""
    skipped = terminalreporter.stats.get("skipped", [])
    if any("streams/test_node.py" in report.nodeid for report in skipped):
        terminalreporter.write_line("Node.js or its packages are not there: its tests were SKIPPED", yellow=True)
