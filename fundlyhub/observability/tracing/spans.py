"""The spans of one batch: one per event in its own trace, and for several events one span with links to them.

Imports OpenTelemetry, so it is loaded only if tracing is on.
"""

from __future__ import annotations

import contextvars
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from fundlyhub.events.tracing import TRACEPARENT, TRACER, carrier_in, fail

MOST = 128
"""Events of a batch with a span of their own; also OpenTelemetry's limit for links of a span."""
POSITION, PROCESSOR = "fundlyhub.event.position", "fundlyhub.processor"
ATTEMPT, OUTCOME = "fundlyhub.attempt", "fundlyhub.outcome"
EVENTS = "fundlyhub.events"

_SAMPLED = frozenset("13579bdf")
"""Last digits of the traceparent of a sampled trace."""
_W3C = TraceContextTextMapPropagator()


class Subject(NamedTuple):
    """An event of a batch: its position, its context and the attributes of its span."""

    position: int
    origin: Context
    attributes: Mapping[str, Any]


def origin(metadata: Mapping[str, Any]) -> Context | None:
    """The trace context in an event's metadata; None if there is none or it is not sampled."""
    if str(metadata.get(TRACEPARENT))[-1:] not in _SAMPLED:  # the usual case, and cheap to check
        return None
    found = _W3C.extract(carrier_in(metadata), Context())
    return found if trace.get_current_span(found).get_span_context().is_valid else None


class Spans:
    """The open spans of a batch's events."""

    def __init__(self, name: str, kind: SpanKind, subjects: Sequence[Subject], events: int, **attributes: Any) -> None:
        tracer = trace.get_tracer(TRACER)
        self._batch: Span | None = None
        back: list[Link] = []
        if len(subjects) > 1:
            links = [Link(trace.get_current_span(one.origin).get_span_context()) for one in subjects]
            counted = {**attributes, EVENTS: events}
            self._batch = tracer.start_span(f"{name} batch", kind=kind, links=links, attributes=counted)
            back = [Link(self._batch.get_span_context())]
        self._open = {
            one.position: tracer.start_span(
                name, one.origin, kind, {**attributes, POSITION: one.position, **one.attributes}, back
            )
            for one in subjects
        }
        self._current = self._batch or next(iter(self._open.values()))

    def within(self, position: int | None) -> contextvars.Context:
        """A context in which calls belong to the event's trace."""
        within = contextvars.copy_context()
        if position in self._open:
            within.run(contexts.attach, trace.set_span_in_context(self._open[position]))
        return within

    def end(self, position: int | None, outcome: str, error_class: str | None = None) -> None:
        """End the span of an event."""
        span = self._open.pop(position, None) if position is not None else None
        if span is None:
            return
        span.set_attribute(OUTCOME, outcome)
        if error_class is not None:
            fail(span, error_class)
        span.end()

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make the batch's span current; at the end, end all open spans."""
        try:
            with trace.use_span(self._current, record_exception=False, set_status_on_exception=False):
                yield
        except BaseException as error:
            for span in self._all():
                fail(span, type(error).__name__)
            raise
        finally:
            for span in self._all():
                span.end()

    def _all(self) -> list[Span]:
        return [*self._open.values(), *([self._batch] if self._batch else [])]
