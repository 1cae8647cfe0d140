"""Indexes by which the console counts open dead letters, and lists and counts the quarantine of one stream."""

from alembic import op

revision = "events_0019"
down_revision = "events_0018"

INDEXES = {
    "quarantine_stream_idx": "events.quarantine (stream, state, received_at, id)",
    "dead_letters_open_idx": "events.dead_letters (processor, type) WHERE state = 'open'",
}


def upgrade() -> None:
    # What fails, and what is put into quarantine, waits while they are built: a moment. Where there are millions build
    # them before the upgrade (docs/growth.md).
    for name, what in INDEXES.items():
        op.execute(f"CREATE INDEX IF NOT EXISTS {name} ON {what}")


def downgrade() -> None:
    for name in INDEXES:
        op.execute(f"DROP INDEX events.{name}")
