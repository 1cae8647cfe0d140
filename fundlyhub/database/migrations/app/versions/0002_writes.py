"""Subscriptions, the reference read model and the activity feed."""

from alembic import op

revision = "app_0002"
down_revision = "app_0001"

LAST_WORDS = """
    CREATE TABLE {name} (
        follower_id uuid        NOT NULL,
        kind        text        NOT NULL,
        followed_id uuid        NOT NULL,
        occurred_at timestamptz NOT NULL,
        position    bigint      NOT NULL,
        follows     boolean     NOT NULL,
        PRIMARY KEY (follower_id, kind, followed_id)
    )
"""


def upgrade() -> None:
    for name in ("follows", "feed_follows"):
        op.execute(LAST_WORDS.format(name=name))
    op.execute("CREATE INDEX follows_following_idx ON follows (follower_id, kind, followed_id) WHERE follows")
    op.execute("CREATE INDEX follows_followers_idx ON follows (kind, followed_id, follower_id) WHERE follows")
    op.execute("""
        CREATE TABLE follow_counts (
            kind            text   NOT NULL,
            id              uuid   NOT NULL,
            follower_count  bigint NOT NULL,
            following_count bigint NOT NULL,
            PRIMARY KEY (kind, id)
        )
    """)
    op.execute("""
        CREATE VIEW subscriptions AS
        SELECT follower_id, kind AS following_type, followed_id AS following_id, occurred_at AS created_at
        FROM follows WHERE follows
    """)
    op.execute("""
        CREATE TABLE entity_fields (
            kind        text        NOT NULL,
            id          uuid        NOT NULL,
            field       text        NOT NULL,
            value       jsonb       NOT NULL,
            occurred_at timestamptz NOT NULL,
            position    bigint      NOT NULL,
            PRIMARY KEY (kind, id, field)
        )
    """)
    op.execute("""
        CREATE TABLE entities (
            kind     text    NOT NULL,
            id       uuid    NOT NULL,
            name     text,
            owner_id uuid,
            shown    boolean NOT NULL,
            PRIMARY KEY (kind, id)
        )
    """)
    op.execute("""
        CREATE TABLE feed_gifts (
            donation_id uuid PRIMARY KEY,
            position    bigint,
            occurred_at timestamptz,
            campaign_id uuid,
            donor_id    uuid,
            amount      numeric,
            currency    text,
            named       boolean NOT NULL,
            anonymous   boolean NOT NULL,
            returned    boolean NOT NULL
        )
    """)
    op.execute("""
        CREATE TABLE activities (
            position    bigint PRIMARY KEY,
            occurred_at timestamptz NOT NULL,
            type        text        NOT NULL,
            actor_kind  text,
            actor_id    uuid,
            target_kind text        NOT NULL,
            target_id   uuid        NOT NULL,
            detail_kind text,
            detail_id   uuid,
            amount      numeric,
            currency    text
        )
    """)
    op.execute("""
        CREATE TABLE timeline_entries (
            kind        text        NOT NULL,
            id          uuid        NOT NULL,
            occurred_at timestamptz NOT NULL,
            position    bigint      NOT NULL,
            PRIMARY KEY (kind, id, occurred_at, position)
        )
    """)
    op.execute("""
        CREATE VIEW user_activities AS
        SELECT activity.position, activity.type AS activity_type, activity.actor_kind AS actor_type, activity.actor_id,
               activity.target_kind AS target_type, activity.target_id, activity.detail_kind AS detail_type,
               activity.detail_id, activity.amount, activity.currency, activity.occurred_at AS created_at
        FROM activities AS activity
        LEFT JOIN entities AS actor ON actor.kind = activity.actor_kind AND actor.id = activity.actor_id
        LEFT JOIN entities AS target ON target.kind = activity.target_kind AND target.id = activity.target_id
        LEFT JOIN entities AS detail ON detail.kind = activity.detail_kind AND detail.id = activity.detail_id
        WHERE actor.shown IS NOT FALSE
          AND CASE activity.target_kind WHEN 'campaign' THEN target.shown IS TRUE ELSE target.shown IS NOT FALSE END
          AND (activity.detail_id IS NULL OR detail.shown IS TRUE)
    """)


def downgrade() -> None:
    op.execute("DROP VIEW user_activities, subscriptions")
    op.execute("DROP TABLE timeline_entries, activities, feed_gifts, feed_follows")
    op.execute("DROP TABLE entities, entity_fields, follow_counts, follows")
