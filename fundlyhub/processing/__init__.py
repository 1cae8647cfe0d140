"""How a processor runs a batch: load, claim, handle, settle; with retries, dead letters, and the base classes."""

from fundlyhub.processing.delivery import Delivery
from fundlyhub.processing.derived_tables import AggregateRows, DerivedTable
from fundlyhub.processing.pause_watch import Paused, paused_meanwhile
from fundlyhub.processing.processor import (
    BroadcastProcessor,
    NotificationProcessor,
    ProjectionProcessor,
    WriteProcessor,
)
from fundlyhub.processing.read_your_writes import Applied, wait_applied, wait_applied_async

__all__ = [
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
]
