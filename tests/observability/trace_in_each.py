"""Spans of a process, for test_forks.py: exported at its end, as a server's processes do."""

from __future__ import annotations

from opentelemetry import trace

from fundlyhub.observability.tracing import start

SPANS = 10


def spans() -> list[str]:
    """Begin and end some; and send them."""
    start("forked")
    provider = trace.get_tracer_provider()
    ids = []
    for _ in range(SPANS):
        with trace.get_tracer("test").start_as_current_span("forked") as span:
            ids.append(f"{span.get_span_context().span_id:016x}")
        assert provider.force_flush(20_000)  # type: ignore[attr-defined]  # the SDK's own provider has it
    return ids
