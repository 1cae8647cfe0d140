"""The activity feed: timelines of users, organizations and campaigns."""

from fundlyhub.processors.writes.activity_feed.processor import ActivityFeedProcessor

__all__ = ["ActivityFeedProcessor"]
