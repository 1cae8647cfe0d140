"""Claims in partitions by position, and what is known of dropped ones."""

from alembic import op

from fundlyhub.database.partitioned import join, partition

revision = "app_0004"
down_revision = "app_0003"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(partition("app"))


def downgrade() -> None:
    op.get_bind().exec_driver_sql(join("app"))
