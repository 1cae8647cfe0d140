"""Audits hold the real account beside the given name."""

from alembic import op

from fundlyhub.database.stamped import stamp, unstamp

revision = "analytics_0009"
down_revision = "analytics_0008"

STAMPED = {"dropped_claims": "INSERT"}


def upgrade() -> None:
    op.get_bind().exec_driver_sql(stamp("analytics", STAMPED))


def downgrade() -> None:
    op.get_bind().exec_driver_sql(unstamp("analytics", STAMPED))
