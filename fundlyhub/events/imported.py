"""Events that are history: they fill read models like any other, and nobody is mailed about them."""

from __future__ import annotations

from fundlyhub.events.envelope import Event

IMPORTED = "imported"
"""The key of an event's metadata that says so, when it is true; it is ours."""


def as_imported(event: Event) -> Event:
    """The event as a part of history."""
    return event.model_copy(update={"metadata": {**event.metadata, IMPORTED: True}})


def is_imported(event: Event) -> bool:
    """Whether nobody is to be told of this event."""
    return event.metadata.get(IMPORTED) is True
