"""Subscriptions: follows of users, organizations and campaigns, and their counts."""

from fundlyhub.processors.writes.subscriptions.processor import SubscriptionWriteProcessor

__all__ = ["SubscriptionWriteProcessor"]
