"""The database of each processor's claims, so that a service that does not have its code finds them."""

from alembic import op

revision = "events_0015"
down_revision = "events_0014"


def upgrade() -> None:
    # The relay of this release fills it in when it begins to lead; one of the release before leaves it as it is.
    op.execute("ALTER TABLE events.processors ADD COLUMN database text")


def downgrade() -> None:
    op.execute("ALTER TABLE events.processors DROP COLUMN database")
