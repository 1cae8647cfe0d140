"""FundlyHub's event processors: the public door for services that publish.

Importing this loads neither Celery nor any provider's SDK.
"""

from fundlyhub.errors import (
    ConflictingEvent,
    FundlyHubError,
    InvalidEvent,
    NotMigrated,
    Unavailable,
    UnknownEventType,
    UnknownVersion,
    WrongUse,
)
from fundlyhub.events import Event, EventType, Payload, publish_event, publish_event_async, publish_events
from fundlyhub.events import catalogue as _catalogue
from fundlyhub.events.catalogue import *  # noqa: F403  # the payload classes

__all__ = [
    "ConflictingEvent",
    "Event",
    "EventType",
    "FundlyHubError",
    "InvalidEvent",
    "NotMigrated",
    "Payload",
    "Unavailable",
    "UnknownEventType",
    "UnknownVersion",
    "WrongUse",
    "publish_event",
    "publish_event_async",
    "publish_events",
    *sorted(cls.__name__ for cls in _catalogue.PAYLOADS.values()),
]
