"""Rebuilds of processors' tables: where each is, and what its replay could not apply."""

from alembic import op

from fundlyhub.database.rebuilt import made, unmade

revision = "analytics_0012"
down_revision = "analytics_0011"


def upgrade() -> None:
    op.execute(made("analytics"))


def downgrade() -> None:
    op.execute(unmade("analytics"))
