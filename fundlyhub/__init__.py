"""FundlyHub Event Processors: what a service that publishes and the author of a processor import.

Each name is loaded when it is first used: a service that only publishes loads neither Celery, nor the base classes of
processors, nor any provider's SDK, and `fundlyhub --help` nothing at all. The field types of payload classes are in
``fundlyhub.events.payload``.
"""

from importlib import import_module
from typing import TYPE_CHECKING

_MODULES = {
    "fundlyhub.database": ("analytics_metadata", "app_metadata", "get_engine", "renew_after_fork"),
    "fundlyhub.errors": (
        "ConflictingEvent",
        "FundlyHubError",
        "InvalidEvent",
        "NotMigrated",
        "OutcomeUnknown",
        "Permanent",
        "Snooze",
        "Transient",
        "Unavailable",
        "UnknownEventType",
        "UnknownVersion",
        "UnreadableEvent",
        "WrongUse",
    ),
    "fundlyhub.events": ("Event", "EventType", "Payload", "publish_event", "publish_event_async", "publish_events"),
    "fundlyhub.events.upcasters": ("upcasts",),
    "fundlyhub.processing": (
        "AggregateRows",
        "Applied",
        "BroadcastProcessor",
        "Delivery",
        "DerivedTable",
        "NotificationProcessor",
        "Paused",
        "ProjectionProcessor",
        "WriteProcessor",
        "paused_meanwhile",
        "wait_applied",
        "wait_applied_async",
    ),
}
"""The names of each module; those of the payload classes are in the catalogue."""

if TYPE_CHECKING:  # a type checker sees the names themselves, and still refuses those that are not there
    from fundlyhub.database import analytics_metadata as analytics_metadata
    from fundlyhub.database import app_metadata as app_metadata
    from fundlyhub.database import get_engine as get_engine
    from fundlyhub.database import renew_after_fork as renew_after_fork
    from fundlyhub.errors import ConflictingEvent as ConflictingEvent
    from fundlyhub.errors import FundlyHubError as FundlyHubError
    from fundlyhub.errors import InvalidEvent as InvalidEvent
    from fundlyhub.errors import NotMigrated as NotMigrated
    from fundlyhub.errors import OutcomeUnknown as OutcomeUnknown
    from fundlyhub.errors import Permanent as Permanent
    from fundlyhub.errors import Snooze as Snooze
    from fundlyhub.errors import Transient as Transient
    from fundlyhub.errors import Unavailable as Unavailable
    from fundlyhub.errors import UnknownEventType as UnknownEventType
    from fundlyhub.errors import UnknownVersion as UnknownVersion
    from fundlyhub.errors import UnreadableEvent as UnreadableEvent
    from fundlyhub.errors import WrongUse as WrongUse
    from fundlyhub.events import Event as Event
    from fundlyhub.events import EventType as EventType
    from fundlyhub.events import Payload as Payload
    from fundlyhub.events import publish_event as publish_event
    from fundlyhub.events import publish_event_async as publish_event_async
    from fundlyhub.events import publish_events as publish_events
    from fundlyhub.events.catalogue import *  # noqa: F403  # the payload classes
    from fundlyhub.events.upcasters import upcasts as upcasts
    from fundlyhub.processing import AggregateRows as AggregateRows
    from fundlyhub.processing import Applied as Applied
    from fundlyhub.processing import BroadcastProcessor as BroadcastProcessor
    from fundlyhub.processing import Delivery as Delivery
    from fundlyhub.processing import DerivedTable as DerivedTable
    from fundlyhub.processing import NotificationProcessor as NotificationProcessor
    from fundlyhub.processing import Paused as Paused
    from fundlyhub.processing import ProjectionProcessor as ProjectionProcessor
    from fundlyhub.processing import WriteProcessor as WriteProcessor
    from fundlyhub.processing import paused_meanwhile as paused_meanwhile
    from fundlyhub.processing import wait_applied as wait_applied
    from fundlyhub.processing import wait_applied_async as wait_applied_async

    __all__: list[str]
else:
    _MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

    def __getattr__(name):
        """Load a name when it is first used."""
        if name == "__all__":
            value = sorted([*_MODULE_OF, *_payloads()])
        elif name in _MODULE_OF:
            value = getattr(import_module(_MODULE_OF[name]), name)
        elif name[:1].isupper() and name in (payloads := _payloads()):  # no module's name begins so
            value = payloads[name]
        else:
            raise AttributeError(f"module 'fundlyhub' has no attribute {name!r}")
        globals()[name] = value
        return value

    def __dir__():
        return sorted({*globals(), *__getattr__("__all__")})

    def _payloads():
        found = import_module("fundlyhub.events.catalogue").PAYLOADS.values()
        return {payload.__name__: payload for payload in found if payload.__module__.startswith(f"{__name__}.")}
