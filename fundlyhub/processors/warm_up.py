"""What processors load and build at their first event: done once, by a worker before it forks its children."""

from __future__ import annotations

from importlib import import_module

from fundlyhub.events import Event
from fundlyhub.events.catalogue import build

_LATE = ("email_validator", "fundlyhub.processors.notifications.rendering.compose", "tenacity")
"""What only running processors need, and which no other command loads."""


def warm_up() -> None:
    """Load and build all of it. Children that are forked then share it, and their first event waits for none of it."""
    for module in _LATE:
        import_module(module)
    build()
    Event.model_rebuild()
