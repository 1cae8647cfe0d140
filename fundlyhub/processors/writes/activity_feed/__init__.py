"""The activity feed: what people, organizations and campaigns did, as timelines."""

from fundlyhub.processors.writes.activity_feed.processor import ActivityFeedProcessor

__all__ = ["ActivityFeedProcessor"]
