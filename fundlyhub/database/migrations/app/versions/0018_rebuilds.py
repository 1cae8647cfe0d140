"""Rebuilds of processors' tables: where each is, and what its replay could not apply."""

from alembic import op

from fundlyhub.database.rebuilt import made, unmade

revision = "app_0018"
down_revision = "app_0017"


def upgrade() -> None:
    op.execute(made("app"))


def downgrade() -> None:
    op.execute(unmade("app"))
