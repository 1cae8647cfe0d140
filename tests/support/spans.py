"""Spans of this process, kept in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Span

TRACER = trace.get_tracer("tests")


class Recorded:
    """What has ended since it was asked to record."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    def all(self) -> Sequence[ReadableSpan]:
        """Every span, in the order in which they ended."""
        return self._exporter.get_finished_spans()

    def named(self, name: str) -> list[ReadableSpan]:
        """Those of a name."""
        return [span for span in self.all() if span.name == name]

    def one(self, name: str, trace_id: int | None = None) -> ReadableSpan:
        """The only one of a name, or of a name in a trace."""
        (found,) = [span for span in self.named(name) if trace_id in (None, place(span)[0])]
        return found


@contextmanager
def recording() -> Iterator[Recorded]:
    """A process has one provider for good: it is set up by the first who asks."""
    exporter = _exporter()
    exporter.clear()
    yield Recorded(exporter)
    exporter.clear()


@contextmanager
def request() -> Iterator[Span]:
    """The span of a request that publishes something, in a trace of its own."""
    with TRACER.start_as_current_span("request", kind=trace.SpanKind.SERVER) as span:
        yield span


def place(span: ReadableSpan | Span) -> tuple[int, int]:
    """A span's trace and its id."""
    found = span.get_span_context()
    assert found is not None
    return found.trace_id, found.span_id


def parent(span: ReadableSpan) -> tuple[int, int]:
    """The place that a span hangs from."""
    assert span.parent is not None
    return span.parent.trace_id, span.parent.span_id


def links(span: ReadableSpan) -> list[tuple[int, int]]:
    """The places that a span is linked to."""
    return [(link.context.trace_id, link.context.span_id) for link in span.links]


@cache
def _exporter() -> InMemorySpanExporter:
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter
