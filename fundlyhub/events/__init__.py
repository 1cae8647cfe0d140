"""Events: the envelope, the payload classes, the log (transactional outbox), and publishing into it."""

from fundlyhub.events.catalogue import canonical_type as canonical_type
from fundlyhub.events.catalogue import payload_class as payload_class
from fundlyhub.events.envelope import Event as Event
from fundlyhub.events.log import StoredEvent as StoredEvent
from fundlyhub.events.payload import Payload as Payload
from fundlyhub.events.publish import publish_event as publish_event
from fundlyhub.events.publish import publish_event_async as publish_event_async
from fundlyhub.events.publish import publish_events as publish_events
from fundlyhub.events.reading import read as read
from fundlyhub.events.reading import read_in_portions as read_in_portions
from fundlyhub.events.types import EventType as EventType
