"""The ledger loses an index that no statement reads, and that each message had to be written into twice."""

from alembic import op

revision = "app_0022"
down_revision = "app_0021"


def upgrade() -> None:
    op.execute("DROP INDEX IF EXISTS notifications_provider_message_id_idx")


def downgrade() -> None:
    op.execute("CREATE INDEX notifications_provider_message_id_idx ON notifications (provider_message_id)")
