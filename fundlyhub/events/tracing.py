"""The W3C trace context of an event, which publishing stores in the event's metadata.

A span exists only if OpenTelemetry is loaded already. So it is never imported here first, and publishing without a span
costs only a look at the loaded modules.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

from fundlyhub.events.envelope import Event
from fundlyhub.events.log import StoredEvent

if TYPE_CHECKING:  # an extra
    from opentelemetry.trace import Span

TRACEPARENT, TRACESTATE = "traceparent", "tracestate"
"""Metadata keys of a trace context, with the names of the W3C's headers."""
EVENT_ID, EVENT_TYPE = "fundlyhub.event.id", "fundlyhub.event.type"
ERROR = "error.type"
TRACER = "fundlyhub"

_PARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
# OpenTelemetry logs what it cannot parse, and this value comes from outside: it gets only well-formed values.
_MEMBER = r"[a-z0-9][a-z0-9_*/@-]{0,240}=[!-+\--<>-~]{1,256}"
_STATE = re.compile(rf"{_MEMBER}(?: ?, ?{_MEMBER}){{0,31}}")


def publishing(events: Sequence[Event]) -> AbstractContextManager[Sequence[Event]]:
    """The events to store, with the caller's trace context, if there is one. A context that an event has stays."""
    return _published(events) if events and _is_traced() else nullcontext(events)


def _is_traced() -> bool:
    return "opentelemetry.trace" in sys.modules and _api().get_current_span().get_span_context().is_valid


@cache
def _api() -> ModuleType:
    """OpenTelemetry's API, cached: an import statement costs as much as reading the current span."""
    from opentelemetry import trace

    return trace


@contextmanager
def _published(events: Sequence[Event]) -> Iterator[Sequence[Event]]:
    from opentelemetry import trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    name, attributes = "publish events", {"fundlyhub.events": len(events)} if len(events) > 1 else facts(events[0])
    if len(events) == 1:
        name = f"publish {events[0].type}"
    with trace.get_tracer(TRACER).start_as_current_span(
        name, kind=trace.SpanKind.PRODUCER, attributes=attributes,
        record_exception=False, set_status_on_exception=False,
    ) as span:  # fmt: skip
        carrier: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(carrier)
        try:
            yield [_carrying(event, carrier) for event in events]
        except BaseException as error:
            fail(span, type(error).__name__)
            raise


def carrier_in(values: Mapping[str, Any]) -> dict[str, str]:
    """The well-formed part of the trace context in these values; empty without a traceparent."""
    parent, state = values.get(TRACEPARENT), values.get(TRACESTATE)
    if not isinstance(parent, str) or not _PARENT.fullmatch(parent):
        return {}
    if not isinstance(state, str) or len(state) > 512 or not _STATE.fullmatch(state):
        return {TRACEPARENT: parent}
    return {TRACEPARENT: parent, TRACESTATE: state}


def facts(event: Event | StoredEvent) -> dict[str, Any]:
    """Span attributes of an event, without its content."""
    return {EVENT_ID: str(event.id), EVENT_TYPE: event.type}


def fail(span: Span, error_class: str) -> None:
    """Mark a span as failed, with the error's class only: text and traceback may quote personal data."""
    from opentelemetry.trace import Status, StatusCode

    span.set_attribute(ERROR, error_class)
    span.set_status(Status(StatusCode.ERROR))


def _carrying(event: Event, carrier: Mapping[str, str]) -> Event:
    if TRACEPARENT in event.metadata:
        return event
    return event.model_copy(update={"metadata": {**event.metadata, **carrier}})
