"""A message is known by what it is about; workers of the release before go by its event, beside ours."""

from alembic import op

revision = "app_0007"
down_revision = "app_0006"


def upgrade() -> None:
    op.execute('ALTER TABLE notifications ADD COLUMN matter text COLLATE "C"')
    op.execute("""
        ALTER TABLE notifications ADD CONSTRAINT notifications_matter_channel_recipient_template_key
            UNIQUE (matter, channel, recipient, template)
    """)
    op.execute("""
        CREATE INDEX notifications_nameless_idx ON notifications (channel, recipient, template) WHERE matter IS NULL
    """)


def downgrade() -> None:
    op.execute("ALTER TABLE notifications DROP COLUMN matter")
