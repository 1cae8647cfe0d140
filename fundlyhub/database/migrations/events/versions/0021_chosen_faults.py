"""An index that has all by which the letters of a fault are chosen, in their order; the one that it replaces goes."""

from alembic import op

revision = "events_0021"
down_revision = "events_0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # As events_0020: what fails waits while it is built, and the new one has what the old one is asked for.
    op.execute(
        "CREATE INDEX IF NOT EXISTS dead_letters_chosen_idx"
        " ON events.dead_letters (fingerprint, state, position, processor) INCLUDE (id)"
    )
    op.execute("DROP INDEX IF EXISTS events.dead_letters_fingerprint_idx")


def downgrade() -> None:
    op.execute("CREATE INDEX dead_letters_fingerprint_idx ON events.dead_letters (fingerprint)")
    op.execute("DROP INDEX events.dead_letters_chosen_idx")
