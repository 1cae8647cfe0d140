"""FundlyHub Event Processors: what a service that publishes and the author of a processor import.

Importing this loads neither Celery nor any provider's SDK. The base classes of processors are loaded at their first
use, so that a service that only publishes does not pay for them. The field types of payload classes are in
``fundlyhub.events.payload``.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from fundlyhub.database import analytics_metadata, app_metadata, get_engine, renew_after_fork
from fundlyhub.errors import (
    ConflictingEvent,
    FundlyHubError,
    InvalidEvent,
    NotMigrated,
    OutcomeUnknown,
    Permanent,
    Snooze,
    Transient,
    Unavailable,
    UnknownEventType,
    UnknownVersion,
    UnreadableEvent,
    WrongUse,
)
from fundlyhub.events import Event, EventType, Payload, publish_event, publish_event_async, publish_events
from fundlyhub.events import catalogue as _catalogue
from fundlyhub.events.catalogue import *  # noqa: F403  # the payload classes
from fundlyhub.events.upcasters import upcasts

_OF_PROCESSORS = ("BroadcastProcessor", "Delivery", "NotificationProcessor", "ProjectionProcessor", "WriteProcessor")

if TYPE_CHECKING:  # a type checker sees the classes themselves, and still refuses names that are not there
    from fundlyhub.processing import (
        BroadcastProcessor,
        Delivery,
        NotificationProcessor,
        ProjectionProcessor,
        WriteProcessor,
    )
else:

    def __getattr__(name: str) -> object:
        """Load a name of ``fundlyhub.processing`` when it is first used."""
        if name not in _OF_PROCESSORS:
            raise AttributeError(f"module 'fundlyhub' has no attribute {name!r}")
        return getattr(import_module("fundlyhub.processing"), name)


__all__ = [
    "BroadcastProcessor",
    "ConflictingEvent",
    "Delivery",
    "Event",
    "EventType",
    "FundlyHubError",
    "InvalidEvent",
    "NotMigrated",
    "NotificationProcessor",
    "OutcomeUnknown",
    "Payload",
    "Permanent",
    "ProjectionProcessor",
    "Snooze",
    "Transient",
    "Unavailable",
    "UnknownEventType",
    "UnknownVersion",
    "UnreadableEvent",
    "WriteProcessor",
    "WrongUse",
    "analytics_metadata",
    "app_metadata",
    "get_engine",
    "publish_event",
    "publish_event_async",
    "publish_events",
    "renew_after_fork",
    "upcasts",
    *sorted(cls.__name__ for cls in _catalogue.PAYLOADS.values()),
]
