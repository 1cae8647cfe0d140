"""An erasure ends rebuilds, whose tables may hold what was erased, without the rights of their owner."""

from alembic import op

from fundlyhub.database.rebuilt import ended

revision = "app_0021"
down_revision = "app_0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(ended("app"))


def downgrade() -> None:
    op.execute("DROP FUNCTION app.end_rebuild")
