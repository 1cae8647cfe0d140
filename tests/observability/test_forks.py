"""Traces of processes that one process became: the spans of each arrive, once."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.observability import trace_in_each
from tests.support.collector import collecting
from tests.support.command import environment
from tests.support.forking import CHILDREN, forked


@pytest.mark.parametrize("threads", [0, 2], ids=["alone", "beside threads that trace"])
def test_the_spans_of_each_process_arrive_once(threads: int) -> None:
    with collecting() as collector:
        told = forked(f"{trace_in_each.__name__}:spans", environment(collector.environment), threads=threads)
    ids = [id for process in told for id in process]
    assert len(ids) == (CHILDREN + 1) * trace_in_each.SPANS
    arrived = Counter(span.id for span in collector.spans)
    assert {id: arrived[id] for id in ids} == dict.fromkeys(ids, 1)
