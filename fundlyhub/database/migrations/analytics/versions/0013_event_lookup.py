"""Positions of events by digests of their other keys, so that nobody has to look through the log for them."""

from alembic import op

revision = "analytics_0013"
down_revision = "analytics_0012"


def upgrade() -> None:
    op.execute("CREATE TABLE event_lookup (key bigint, position bigint, PRIMARY KEY (key, position))")


def downgrade() -> None:
    op.execute("DROP TABLE event_lookup")
