"""The crash matrix of the ingest: at each boundary of an entry's way, before and after it, it dies."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fundlyhub.embedded.valkey import Valkey
from tests.streams.crashes import BOUNDARIES, BROKEN, GOOD, Boundary, die_and_recover
from tests.streams.streams import Streams
from tests.support.proxy.trap import When
from tests.support.reliability import Record


@pytest.fixture
def streams(database: str, valkey: Valkey, tmp_path: Path) -> Iterator[Streams]:
    """A fresh log whose commits are written, and streams."""
    with Streams(database, valkey, tmp_path) as ready:
        yield ready


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("boundary", BOUNDARIES, ids=lambda boundary: boundary.name)
def test_an_ingest_that_dies_there_loses_and_doubles_nothing(
    streams: Streams, boundary: Boundary, when: When, measured: list[Record]
) -> None:
    died = die_and_recover(streams, boundary, when)
    delayed = round(time.monotonic() - died, 1)
    measured.append(
        Record(f"SIGKILL of ingest, {boundary.name}, {when}", "Valkey", 1, GOOD + BROKEN, 0, 0, delayed)
    )  # fmt: skip
