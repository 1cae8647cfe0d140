"""Audits hold the real account beside the given name."""

from alembic import op

from fundlyhub.database.stamped import stamp, unstamp

revision = "app_0014"
down_revision = "app_0013"

STAMPED = {
    "resends": "INSERT",
    "suppression_causes": "INSERT",
    "suppression_causes/lifted": "UPDATE OF lifted_by",
    "delivery_reports": "UPDATE OF discarded_by",
    "dropped_claims": "INSERT",
}


def upgrade() -> None:
    op.get_bind().exec_driver_sql(stamp("app", STAMPED))


def downgrade() -> None:
    op.get_bind().exec_driver_sql(unstamp("app", STAMPED))
