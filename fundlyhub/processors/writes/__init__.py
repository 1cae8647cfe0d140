"""The write processors: each one keeps tables of its own in the App DB."""

from fundlyhub.processors.writes.activity_feed import ActivityFeedProcessor
from fundlyhub.processors.writes.recipients import RecipientWriteProcessor
from fundlyhub.processors.writes.references import ReferenceWriteProcessor
from fundlyhub.processors.writes.subscriptions import SubscriptionWriteProcessor

__all__ = ["ActivityFeedProcessor", "RecipientWriteProcessor", "ReferenceWriteProcessor", "SubscriptionWriteProcessor"]
