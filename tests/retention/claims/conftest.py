"""The log whose claims are kept in small partitions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fundlyhub.database import connect
from fundlyhub.settings import Settings
from tests.retention.claims.kept import Kept, another


@pytest.fixture
def kept(settings: Settings) -> Iterator[Kept]:
    """Claims of one processor in partitions of ten positions."""
    with connect("events", autocommit=True) as events, another() as db:
        yield Kept(events, db)
