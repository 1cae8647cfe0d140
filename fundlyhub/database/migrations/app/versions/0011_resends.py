"""Messages that a person has sent again."""

from alembic import op

revision = "app_0011"
down_revision = "app_0010"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE resends (
            token               text        NOT NULL,
            notification_id     uuid        NOT NULL,
            who                 text        NOT NULL,
            reason              text        NOT NULL,
            at                  timestamptz NOT NULL DEFAULT clock_timestamp(),
            state               text        NOT NULL,
            state_reason        text,
            sent_at             timestamptz,
            provider_message_id text,
            PRIMARY KEY (token, notification_id)
        )
    """)
    op.execute("CREATE INDEX resends_notification_id_idx ON resends (notification_id, at)")


def downgrade() -> None:
    op.execute("DROP TABLE resends")
