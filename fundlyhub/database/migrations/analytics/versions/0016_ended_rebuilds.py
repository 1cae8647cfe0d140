"""An erasure ends rebuilds, whose tables may hold what was erased, without the rights of their owner."""

from alembic import op

from fundlyhub.database.rebuilt import ended

revision = "analytics_0016"
down_revision = "analytics_0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(ended("analytics"))


def downgrade() -> None:
    op.execute("DROP FUNCTION analytics.end_rebuild")
