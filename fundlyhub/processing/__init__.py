"""How any processor runs: what those who write processors need of it."""

from fundlyhub.processing.processor import Delivery, NotificationProcessor, ProjectionProcessor, WriteProcessor

__all__ = ["Delivery", "NotificationProcessor", "ProjectionProcessor", "WriteProcessor"]
