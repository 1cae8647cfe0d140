"""Ceilings: messages to one mailbox or number are counted, and those above a ceiling are held back."""

from alembic import op

revision = "app_0016"
down_revision = "app_0015"

STATES = "'queued', 'sending', 'sent', 'delivered', 'skipped', 'failed', 'unknown'"
CHECK = """
ALTER TABLE notifications DROP CONSTRAINT notifications_state_check;
ALTER TABLE notifications ADD CONSTRAINT notifications_state_check CHECK (state IN ({states})) NOT VALID;
ALTER TABLE notifications VALIDATE CONSTRAINT notifications_state_check;
"""


def upgrade() -> None:
    op.execute("ALTER TABLE notifications ADD COLUMN ceiling_key text")
    op.execute("""
        CREATE INDEX notifications_ceiling_idx ON notifications (ceiling_key, created_at) WHERE ceiling_key IS NOT NULL
    """)
    op.execute("CREATE INDEX notifications_held_idx ON notifications (channel) WHERE state = 'held'")
    op.execute(CHECK.format(states=f"{STATES}, 'held'"))


def downgrade() -> None:
    op.execute("UPDATE notifications SET state = 'skipped' WHERE state = 'held'")
    op.execute(CHECK.format(states=STATES))
    op.execute("DROP INDEX notifications_held_idx")
    op.execute("ALTER TABLE notifications DROP COLUMN ceiling_key")
