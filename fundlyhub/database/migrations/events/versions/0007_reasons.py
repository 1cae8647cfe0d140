"""Attempts tell more: runs that never ended apart from failures, and why an event waits."""

from alembic import op

revision = "events_0007"
down_revision = "events_0006"

# Workers of the release before write none of the three: a crash that they count is an attempt, as it was.
REASONS = """
ALTER TABLE events.attempts
    ADD COLUMN crashes integer NOT NULL DEFAULT 0,
    ADD COLUMN reason text,
    ADD COLUMN fingerprint text;
"""


def upgrade() -> None:
    op.execute(REASONS)


def downgrade() -> None:
    op.execute("ALTER TABLE events.attempts DROP COLUMN crashes, DROP COLUMN reason, DROP COLUMN fingerprint")
