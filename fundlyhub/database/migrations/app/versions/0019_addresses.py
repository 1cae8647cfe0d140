"""Indexes for the console: messages by an address that somebody types in, and open messages by channel."""

from alembic import op

revision = "app_0019"
down_revision = "app_0018"

INDEXES = {
    "contacts_email_idx": "contacts (lower(email)) WHERE email IS NOT NULL",
    "contacts_phone_idx": "contacts (phone) WHERE phone IS NOT NULL",
    "notifications_address_idx": "notifications (recipient) WHERE user_id IS NULL OR channel = 'push'",
    "notifications_states_idx": """
        notifications (state, changed_at) INCLUDE (channel) WHERE state IN ('queued', 'sending', 'failed', 'unknown')
    """,
}
FORMER = """
    CREATE INDEX notifications_open_idx ON notifications (state, changed_at)
    WHERE state IN ('queued', 'sending', 'failed', 'unknown')
"""


def upgrade() -> None:
    # Workers that send wait while they are built. Where ledger and contacts are large build them before the upgrade,
    # with CREATE INDEX CONCURRENTLY (docs/growth.md); then there is little left to do here.
    for name, what in INDEXES.items():
        op.execute(f"CREATE INDEX IF NOT EXISTS {name} ON {what}")
    op.execute("DROP INDEX notifications_open_idx")  # the last one of them does its work


def downgrade() -> None:
    op.execute(FORMER)
    for name in INDEXES:
        op.execute(f"DROP INDEX {name}")
