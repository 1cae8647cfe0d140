"""Subscriptions: who follows which user, organization or campaign, and how many they are."""

from fundlyhub.processors.writes.subscriptions.processor import SubscriptionWriteProcessor

__all__ = ["SubscriptionWriteProcessor"]
