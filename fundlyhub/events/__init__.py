"""Events: the envelope, the payload classes, the log (transactional outbox), and publishing into it."""

from fundlyhub.events.catalogue import canonical_type, payload_class
from fundlyhub.events.envelope import Event
from fundlyhub.events.log import StoredEvent
from fundlyhub.events.payload import Payload
from fundlyhub.events.publish import publish_event, publish_event_async, publish_events
from fundlyhub.events.reading import read, read_in_portions
from fundlyhub.events.types import EventType

__all__ = [
    "Event",
    "EventType",
    "Payload",
    "StoredEvent",
    "canonical_type",
    "payload_class",
    "publish_event",
    "publish_event_async",
    "publish_events",
    "read",
    "read_in_portions",
]
