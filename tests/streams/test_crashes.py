"""An ingest that is killed with SIGKILL loses and doubles nothing; the whole matrix is among the chaos tests."""

from __future__ import annotations

import pytest

from tests.streams.crashes import BOUNDARIES, die_and_recover
from tests.streams.streams import Streams
from tests.support.proxy.trap import When

BY_NAME = {boundary.name: boundary for boundary in BOUNDARIES}


@pytest.mark.parametrize(("name", "when"), [("read", "before"), ("insert", "after"), ("commit", "after")])
def test_an_ingest_that_dies_there_loses_and_doubles_nothing(streams: Streams, name: str, when: When) -> None:
    die_and_recover(streams, BY_NAME[name], when)
