"""What a processor of messages is given of an event."""

from __future__ import annotations

from contextvars import Context, copy_context
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from fundlyhub.events import Event


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event whose messages are to go out, as ``deliver`` gets it. ``waited`` is how long it has been waiting.

    ``replayed_after`` is set when a person has sent a dead letter again: what had failed until then is to be
    tried once more. ``context`` is the one to make calls for it in, so that they are part of its trace; each thread
    takes a copy.

    ::

        def deliver(self, deliveries):
            for delivery in deliveries:
                delivery.context.copy().run(self.send, delivery.event, again=delivery.replayed_after is not None)
            return {}
    """

    event: Event
    waited: timedelta = timedelta()
    replayed_after: datetime | None = None
    context: Context = field(default_factory=copy_context, repr=False, compare=False)
