"""The generation of each outside search index: rebuilt documents go into a new one, since their versions begin anew."""

from alembic import op

revision = "analytics_0014"
down_revision = "analytics_0013"


def upgrade() -> None:
    op.execute("ALTER TABLE search_indices ADD COLUMN generation integer NOT NULL DEFAULT 1")


def downgrade() -> None:
    op.execute("ALTER TABLE search_indices DROP COLUMN generation")
