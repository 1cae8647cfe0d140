"""The tables of the activity feed, and the view that others may read."""

from __future__ import annotations

from sqlalchemy import DDL, BigInteger, Boolean, Column, Numeric, Table, Text, Uuid, event, text
from sqlalchemy.dialects.postgresql import TIMESTAMP

from fundlyhub.database import app_metadata
from fundlyhub.processors.shared.follow_state import follows_table
from fundlyhub.processors.shared.refunds import refunds_table

# The last change of each pair, tombstones too: the feed's follows come from it.
feed_follows = follows_table("feed_follows", app_metadata)

# What is known of each donation. The donor is kept until an event says that the donation is anonymous; the
# feed names the donor only if an event has said that it is not.
feed_gifts = Table(
    "feed_gifts",
    app_metadata,
    Column("donation_id", Uuid, primary_key=True),
    Column("position", BigInteger),
    Column("occurred_at", TIMESTAMP(timezone=True)),
    Column("campaign_id", Uuid),
    Column("donor_id", Uuid),
    Column("amount", Numeric),
    Column("currency", Text),
    Column("named", Boolean, nullable=False),
    Column("anonymous", Boolean, nullable=False),
    Column("returned", Boolean, nullable=False),
    Column("refunded", Numeric, nullable=False, server_default=text("0")),
)
feed_refunds = refunds_table("feed_refunds", app_metadata)

# One row per activity, by the position of its event: an event is one activity at most, ever.
activities = Table(
    "activities",
    app_metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("occurred_at", TIMESTAMP(timezone=True), nullable=False),
    Column("type", Text, nullable=False),
    Column("actor_kind", Text),
    Column("actor_id", Uuid),
    Column("target_kind", Text, nullable=False),
    Column("target_id", Uuid, nullable=False),
    Column("detail_kind", Text),
    Column("detail_id", Uuid),
    Column("amount", Numeric),
    Column("currency", Text),
)

# The timelines of each activity; a feed reads only the key until it knows its page.
timeline_entries = Table(
    "timeline_entries",
    app_metadata,
    Column("kind", Text, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("occurred_at", TIMESTAMP(timezone=True), primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
)

# What an activity's parts are called, and whether it may be shown: no part of it may be hidden, and a campaign or an
# update must be known to be public. Used by the feeds and by the view alike.
NAMES = """
    LEFT JOIN entities AS actor ON actor.kind = activity.actor_kind AND actor.id = activity.actor_id
    LEFT JOIN entities AS target ON target.kind = activity.target_kind AND target.id = activity.target_id
    LEFT JOIN entities AS detail ON detail.kind = activity.detail_kind AND detail.id = activity.detail_id
"""
SHOWN = """(
    actor.shown IS NOT FALSE
    AND CASE activity.target_kind WHEN 'campaign' THEN target.shown IS TRUE ELSE target.shown IS NOT FALSE END
    AND (activity.detail_id IS NULL OR detail.shown IS TRUE)
)"""

# The read model, which others may read, without undone and hidden activities.
USER_ACTIVITIES = f"""
    CREATE VIEW user_activities AS
    SELECT activity.position, activity.type AS activity_type, activity.actor_kind AS actor_type, activity.actor_id,
           activity.target_kind AS target_type, activity.target_id, activity.detail_kind AS detail_type,
           activity.detail_id, activity.amount, activity.currency, activity.occurred_at AS created_at
    FROM activities AS activity
    {NAMES}
    WHERE {SHOWN}
"""  # noqa: S608 - put together from constants
event.listen(app_metadata, "after_create", DDL(USER_ACTIVITIES))  # type: ignore[no-untyped-call]  # theirs
