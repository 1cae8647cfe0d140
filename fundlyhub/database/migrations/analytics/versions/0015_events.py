"""Rows say which event they are of: after a failover that has lost the log's tail, its positions are used again."""

from alembic import op

revision = "analytics_0015"
down_revision = "analytics_0014"
branch_labels = None
depends_on = None


TABLES = ("donation_facts", "search_follows")


def upgrade() -> None:
    for name in TABLES:
        op.execute(f"ALTER TABLE {name} ADD COLUMN event_id uuid")


def downgrade() -> None:
    for name in TABLES:
        op.execute(f"ALTER TABLE {name} DROP COLUMN event_id")
