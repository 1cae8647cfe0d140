"""What a process is working at: bound for as long as it does, and told with every log entry that is written meanwhile.

Of an event only what tells it from others: ids, position and type. None of these is a person's.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from structlog.contextvars import bind_contextvars, bound_contextvars, clear_contextvars

from fundlyhub.events import Event, StoredEvent

KEYS = ("processor", "message_id", "events", "first", "last",
        "event_id", "type", "position", "attempt", "correlation_id", "seconds")  # fmt: skip
"""What entries may carry beside their text."""


def begin_message(processor: str, message_id: str, positions: Sequence[int]) -> None:
    """From now on this process works at one message of the broker, with these positions."""
    clear_contextvars()
    bind_contextvars(processor=processor, message_id=message_id, events=len(positions))
    if positions:
        bind_contextvars(first=positions[0], last=positions[-1])


def end_message() -> None:
    """It does so no longer."""
    clear_contextvars()


def at(events: Sequence[Event], attempt: int | None = None) -> AbstractContextManager[Any]:
    """While a single event is worked at, its facts are told; of several, nothing more than of their message."""
    return bound_contextvars(**facts(events[0], attempt)) if len(events) == 1 else nullcontext()


def facts(event: Event | StoredEvent, attempt: int | None = None) -> dict[str, Any]:
    """What tells an event from others; for ``extra`` too."""
    shown: dict[str, Any] = {"event_id": str(event.id), "type": event.type, "position": event.position}
    if attempt is not None:
        shown["attempt"] = attempt
    if event.correlation_id is not None:
        shown["correlation_id"] = str(event.correlation_id)
    return shown
