"""An index that has all by which dead letters are counted by fault and type; the one that it replaces goes."""

from alembic import op

revision = "events_0020"
down_revision = "events_0019"


def upgrade() -> None:
    # What fails waits while it is built: a moment. Where there are millions build it before the upgrade
    # (docs/growth.md). What the release before asks of the old index the new one has too.
    op.execute(
        "CREATE INDEX IF NOT EXISTS dead_letters_faults_idx ON events.dead_letters (state, fingerprint, type)"
        " INCLUDE (id, first_failed_at, last_failed_at)"
    )
    op.execute("DROP INDEX IF EXISTS events.dead_letters_groups_idx")


def downgrade() -> None:
    op.execute(
        "CREATE INDEX dead_letters_groups_idx ON events.dead_letters (state, fingerprint)"
        " INCLUDE (id, first_failed_at, last_failed_at)"
    )
    op.execute("DROP INDEX events.dead_letters_faults_idx")
