"""Spans of a processor's run, from the check of its events to their outcomes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any

from opentelemetry.trace import SpanKind

from fundlyhub.errors import InvalidEvent
from fundlyhub.events import Event, StoredEvent
from fundlyhub.events.log import decode
from fundlyhub.events.tracing import facts
from fundlyhub.observability.tracing.spans import ATTEMPT, MOST, PROCESSOR, Spans, Subject, origin


@contextmanager
def spans_of_batch(
    processor: str, traced: Sequence[Event | StoredEvent], events: int, attempts_of: Callable[[int | None], int]
) -> Iterator[Spans | None]:
    """Spans for those of ``traced`` that are sampled; ``events`` is how many there are in the batch."""
    subjects = list(islice(_subjects(traced, attempts_of), MOST))
    if not subjects:
        yield None
        return
    spans = Spans(f"process {processor}", SpanKind.CONSUMER, subjects, events, **{PROCESSOR: processor})
    with spans.current():
        yield spans


def _subjects(traced: Sequence[Event | StoredEvent], attempts_of: Callable[[int | None], int]) -> Iterator[Subject]:
    for event in traced:
        found = origin(_metadata(event))
        if found is not None and event.position is not None:
            yield Subject(event.position, found, {**facts(event), ATTEMPT: attempts_of(event.position) + 1})


def _metadata(event: Event | StoredEvent) -> Mapping[str, Any]:
    if isinstance(event, Event):
        return event.metadata
    with suppress(InvalidEvent):
        return decode(event.metadata, "metadata")
    return {}
