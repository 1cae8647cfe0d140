"""The keeper of the claims' partitions needs no rights of the owner: two functions do its work."""

from alembic import op

from fundlyhub.database.partitioned import keeping, without_keeping

revision = "analytics_0010"
down_revision = "analytics_0009"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(keeping("analytics"))


def downgrade() -> None:
    op.get_bind().exec_driver_sql(without_keeping("analytics"))
