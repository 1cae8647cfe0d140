"""The tables of the subscriptions, and the view that others may read."""

from __future__ import annotations

from sqlalchemy import DDL, BigInteger, Column, Index, Table, Text, Uuid, event

from fundlyhub.database import app_metadata
from fundlyhub.processors.shared.follow_state import follows_table

# The last change of each pair, tombstones too.
follows = follows_table("follows", app_metadata)
Index(
    "follows_following_idx", follows.c.follower_id, follows.c.kind, follows.c.followed_id,
    postgresql_where=follows.c.follows,
)  # fmt: skip
Index(
    "follows_followers_idx", follows.c.kind, follows.c.followed_id, follows.c.follower_id,
    postgresql_where=follows.c.follows,
)  # fmt: skip

# How many follow a thing and how many things a user follows; both 0 is no row. Always equal to a recount.
follow_counts = Table(
    "follow_counts",
    app_metadata,
    Column("kind", Text, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("follower_count", BigInteger, nullable=False),
    Column("following_count", BigInteger, nullable=False),
)

# The read model, which others may read, without tombstones.
SUBSCRIPTIONS = """
    CREATE VIEW subscriptions AS
    SELECT follower_id, kind AS following_type, followed_id AS following_id, occurred_at AS created_at
    FROM follows WHERE follows
"""
event.listen(app_metadata, "after_create", DDL(SUBSCRIPTIONS))  # type: ignore[no-untyped-call]  # theirs
