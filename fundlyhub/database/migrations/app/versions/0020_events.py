"""Rows say which event they are of: after a failover that has lost the log's tail, its positions are used again."""

from alembic import op

revision = "app_0020"
down_revision = "app_0019"
branch_labels = None
depends_on = None

TABLES = ("activities", "feed_follows", "feed_gifts", "follows")


def upgrade() -> None:
    for name in TABLES:  # without a default: no table is written anew, and former releases write none
        op.execute(f"ALTER TABLE {name} ADD COLUMN event_id uuid")


def downgrade() -> None:
    for name in TABLES:
        op.execute(f"ALTER TABLE {name} DROP COLUMN event_id")
