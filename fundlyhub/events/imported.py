"""Imported events (history): they fill read models, and nobody is notified of them."""

from __future__ import annotations

from fundlyhub.events.envelope import Event

IMPORTED = "imported"
"""Key in an event's metadata, reserved for us; true for an imported event."""


def as_imported(event: Event) -> Event:
    """The event, marked as imported."""
    return event.model_copy(update={"metadata": {**event.metadata, IMPORTED: True}})


def is_imported(event: Event) -> bool:
    """Whether nobody is to be notified of this event."""
    return event.metadata.get(IMPORTED) is True
