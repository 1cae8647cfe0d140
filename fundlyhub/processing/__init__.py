"""How a processor runs a batch: load, claim, handle, settle; with retries, dead letters, and the base classes."""

from fundlyhub.processing.processor import (
    BroadcastProcessor,
    Delivery,
    NotificationProcessor,
    ProjectionProcessor,
    WriteProcessor,
)

__all__ = ["BroadcastProcessor", "Delivery", "NotificationProcessor", "ProjectionProcessor", "WriteProcessor"]
