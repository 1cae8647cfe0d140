"""What is written to the App DB, each part by one processor."""

from fundlyhub.processors.writes.activity_feed import ActivityFeedProcessor
from fundlyhub.processors.writes.recipients import RecipientWriteProcessor
from fundlyhub.processors.writes.references import ReferenceWriteProcessor
from fundlyhub.processors.writes.subscriptions import SubscriptionWriteProcessor

__all__ = ["ActivityFeedProcessor", "RecipientWriteProcessor", "ReferenceWriteProcessor", "SubscriptionWriteProcessor"]
