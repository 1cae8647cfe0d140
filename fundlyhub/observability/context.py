"""The context of log entries: which task message and which event the process is working on.

Of an event only ids, position and type are logged; none of them is personal data.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from structlog.contextvars import bind_contextvars, bound_contextvars, clear_contextvars

from fundlyhub.events import Event, StoredEvent

KEYS = ("processor", "message_id", "events", "first", "last",
        "event_id", "type", "position", "attempt", "correlation_id", "seconds")  # fmt: skip
"""Fields that a log entry may have beside its text."""


def begin_message(processor: str, message_id: str, positions: Sequence[int]) -> None:
    """Begin the context of a task message with these positions."""
    clear_contextvars()
    bind_contextvars(processor=processor, message_id=message_id, events=len(positions))
    if positions:
        bind_contextvars(first=positions[0], last=positions[-1])


def end_message() -> None:
    """End the context of the task message."""
    clear_contextvars()


def at(events: Sequence[Event], attempt: int | None = None) -> AbstractContextManager[Any]:
    """Add the fields of a single event while it is processed; for several events add nothing."""
    return bound_contextvars(**facts(events[0], attempt)) if len(events) == 1 else nullcontext()


def facts(event: Event | StoredEvent, attempt: int | None = None) -> dict[str, Any]:
    """The fields that identify an event; also for ``extra`` of a log call."""
    shown: dict[str, Any] = {"event_id": str(event.id), "type": event.type, "position": event.position}
    if attempt is not None:
        shown["attempt"] = attempt
    if event.correlation_id is not None:
        shown["correlation_id"] = str(event.correlation_id)
    return shown
