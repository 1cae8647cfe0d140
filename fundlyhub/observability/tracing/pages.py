"""Spans of the relay: from the log to the broker's confirmation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from opentelemetry.trace import SpanKind

from fundlyhub.events.tracing import EVENT_ID, EVENT_TYPE, TRACEPARENT, TRACESTATE
from fundlyhub.observability.tracing.spans import MOST, Spans, Subject, origin

# Only sampled events: the last digit of their traceparent is odd.
_TRACED = """
    SELECT position, id, left(type, 201), left(metadata ->> 'traceparent', 60), left(metadata ->> 'tracestate', 600)
    FROM events.events
    WHERE position = ANY (%(positions)s::bigint[]) AND left(metadata ->> 'traceparent', 60) ~ '-[0-9a-f][13579bdf]$'
    ORDER BY position LIMIT %(most)s
"""


@contextmanager
def spans_of_page(db: psycopg.Connection[Any], batches: Iterable[Sequence[int]]) -> Iterator[Spans | None]:
    """Spans for the sampled events of these batches; ``db`` is in autocommit."""
    positions = sorted({position for batch in batches for position in batch})
    subjects = list(_subjects(db, positions)) if positions else []
    if not subjects:
        yield None
        return
    spans = Spans("relay", SpanKind.INTERNAL, subjects, len(positions))
    with spans.current():
        yield spans


def _subjects(db: psycopg.Connection[Any], positions: Sequence[int]) -> Iterator[Subject]:
    for position, id, kind, parent, state in db.execute(_TRACED, {"positions": positions, "most": MOST}):
        found = origin({TRACEPARENT: parent, TRACESTATE: state})
        if found is not None:
            yield Subject(position, found, {EVENT_ID: str(id), EVENT_TYPE: kind})
