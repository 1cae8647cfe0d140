"""The trace that an event belongs to: a W3C trace context, which publishing keeps in the event's metadata.

A span can exist only if OpenTelemetry is loaded. So nothing here imports it before that, and publishing without a span
costs a look at what is loaded.
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
"""The keys of metadata that hold a trace context, named as the headers of the W3C's recommendation are."""
EVENT_ID, EVENT_TYPE = "fundlyhub.event.id", "fundlyhub.event.type"
ERROR = "error.type"
TRACER = "fundlyhub"

_PARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
# OpenTelemetry quotes in the log what it cannot read, and this comes from outside: it gets what is surely well formed.
_MEMBER = r"[a-z0-9][a-z0-9_*/@-]{0,240}=[!-+\--<>-~]{1,256}"
_STATE = re.compile(rf"{_MEMBER}(?: ?, ?{_MEMBER}){{0,31}}")


def publishing(events: Sequence[Event]) -> AbstractContextManager[Sequence[Event]]:
    """The events as they are to be stored: within the caller's trace, when there is one. A context of theirs stays."""
    return _published(events) if events and _is_traced() else nullcontext(events)


def _is_traced() -> bool:
    return "opentelemetry.trace" in sys.modules and _api().get_current_span().get_span_context().is_valid


@cache
def _api() -> ModuleType:
    """OpenTelemetry's, once it is there: importing what is loaded still costs as much as asking for the span."""
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
    """The trace context among these values, as far as it is well formed; without a traceparent there is none."""
    parent, state = values.get(TRACEPARENT), values.get(TRACESTATE)
    if not isinstance(parent, str) or not _PARENT.fullmatch(parent):
        return {}
    if not isinstance(state, str) or len(state) > 512 or not _STATE.fullmatch(state):
        return {TRACEPARENT: parent}
    return {TRACEPARENT: parent, TRACESTATE: state}


def facts(event: Event | StoredEvent) -> dict[str, Any]:
    """What a span tells of an event; nothing of what is in it."""
    return {EVENT_ID: str(event.id), EVENT_TYPE: event.type}


def fail(span: Span, error_class: str) -> None:
    """Tell of an error its class alone: its text and its traceback may quote people's data."""
    from opentelemetry.trace import Status, StatusCode

    span.set_attribute(ERROR, error_class)
    span.set_status(Status(StatusCode.ERROR))


def _carrying(event: Event, carrier: Mapping[str, str]) -> Event:
    if TRACEPARENT in event.metadata:
        return event
    return event.model_copy(update={"metadata": {**event.metadata, **carrier}})
