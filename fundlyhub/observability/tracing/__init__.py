"""OpenTelemetry traces, continued from the context in each event. Off and nearly free without a provider.

::

    POST /donations                        the API service's own span
    └─ publish donation.completed          its context stands in the event's metadata
       ├─ relay                            from the log to the broker
       ├─ process campaign_stats           one for each processor and each attempt
       └─ process email_notification
          └─ send sendgrid                 the call

The context is in the log, not in the task message, so a retried, swept or replayed position continues the trace of its
event. A batch of several traces has a span of its own with links to them, and up to ``MOST`` of its events have a span
in their own trace.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import psycopg

from fundlyhub.events import Event, StoredEvent
from fundlyhub.events.tracing import TRACEPARENT, TRACER, fail
from fundlyhub.observability.tracing.starting import start, stop

if TYPE_CHECKING:  # they import the extra
    from fundlyhub.observability.tracing.spans import Spans

__all__ = ["calling", "enabled", "processing", "relaying", "start", "stop"]


def enabled() -> bool:
    """Whether a provider is set up: by us, by ``opentelemetry-instrument``, or by the embedding program."""
    if "opentelemetry.trace" not in sys.modules:
        return False
    from opentelemetry import trace

    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def relaying(db: psycopg.Connection[Any], batches: Iterable[Sequence[int]]) -> AbstractContextManager[Spans | None]:
    """Spans around publishing positions to the broker; if on, reads their contexts from ``db``, the Events DB."""
    if not enabled():
        return nullcontext()
    from fundlyhub.observability.tracing.pages import spans_of_page

    return spans_of_page(db, batches)


def processing(
    processor: str, events: Sequence[Event | StoredEvent], attempts_of: Callable[[int | None], int]
) -> AbstractContextManager[Spans | None]:
    """Spans around a run of a batch; ``attempts_of`` tells how often an event has failed before. None for no trace."""
    if not enabled():
        return nullcontext()
    traced = [event for event in events if TRACEPARENT in (event.metadata or ())]  # a row's is JSON text
    if not traced:
        return nullcontext()
    from fundlyhub.observability.tracing.batches import spans_of_batch

    return spans_of_batch(processor, traced, len(events), attempts_of)


def calling(provider: str) -> AbstractContextManager[None]:
    """A span around a call of a provider, if the call is part of a trace."""
    if not enabled():
        return nullcontext()
    from opentelemetry import trace

    return _called(provider) if trace.get_current_span().is_recording() else nullcontext()


@contextmanager
def _called(provider: str) -> Iterator[None]:
    from opentelemetry import trace

    with trace.get_tracer(TRACER).start_as_current_span(
        f"send {provider}", kind=trace.SpanKind.CLIENT, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield
        except BaseException as error:
            fail(span, type(error).__name__)
            raise
