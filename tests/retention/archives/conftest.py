"""The log whose events can be made old."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fundlyhub.database import connect
from fundlyhub.settings import Settings
from tests.retention.archives.old import Old


@pytest.fixture
def old(settings: Settings, tmp_path: Path) -> Iterator[Old]:
    """A log with one processor, and a folder for files."""
    folder = tmp_path / "archive"
    folder.mkdir()
    with connect("events", autocommit=True) as events:
        yield Old(events, folder)
