"""A key for the differences that wait: a publication of all tables refuses to delete from a table without one."""

from alembic import op

revision = "analytics_0007"
down_revision = "analytics_0006"


def upgrade() -> None:
    # The key begins with what its queries ask for, and so takes the place of their index.
    op.execute("ALTER TABLE campaign_stats_waiting ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY")
    op.execute("ALTER TABLE campaign_stats_waiting ADD PRIMARY KEY (xid, id)")
    op.execute("DROP INDEX campaign_stats_waiting_xid_idx")


def downgrade() -> None:
    op.execute("CREATE INDEX campaign_stats_waiting_xid_idx ON campaign_stats_waiting (xid)")
    op.execute("ALTER TABLE campaign_stats_waiting DROP CONSTRAINT campaign_stats_waiting_pkey, DROP COLUMN id")
