"""The keeper of the claims' partitions needs no rights of the owner: two functions do its work."""

from alembic import op

from fundlyhub.database.partitioned import keeping, without_keeping

revision = "app_0015"
down_revision = "app_0014"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(keeping("app"))


def downgrade() -> None:
    op.get_bind().exec_driver_sql(without_keeping("app"))
