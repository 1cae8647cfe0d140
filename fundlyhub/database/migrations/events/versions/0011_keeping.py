"""The keeper of the claims' partitions needs no rights of the owner: two functions do its work."""

from alembic import op

from fundlyhub.database.partitioned import keeping, without_keeping

revision = "events_0011"
down_revision = "events_0010"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(keeping("events"))


def downgrade() -> None:
    op.get_bind().exec_driver_sql(without_keeping("events"))
