"""How any processor runs: what those who write processors need of it."""

from fundlyhub.processing.processor import (
    BroadcastProcessor,
    Delivery,
    NotificationProcessor,
    ProjectionProcessor,
    WriteProcessor,
)

__all__ = ["BroadcastProcessor", "Delivery", "NotificationProcessor", "ProjectionProcessor", "WriteProcessor"]
