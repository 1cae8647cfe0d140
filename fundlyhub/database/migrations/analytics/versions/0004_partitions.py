"""Claims in partitions by position, and what is known of dropped ones."""

from alembic import op

from fundlyhub.database.partitioned import join, partition

revision = "analytics_0004"
down_revision = "analytics_0003"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(partition("analytics"))


def downgrade() -> None:
    op.get_bind().exec_driver_sql(join("analytics"))
