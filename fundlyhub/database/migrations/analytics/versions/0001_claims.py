"""The claims of the Analytics DB's processors."""

from alembic import op

revision = "analytics_0001"
down_revision = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE processed_events (
            processor    text        NOT NULL,
            position     bigint      NOT NULL,
            event_id     uuid        NOT NULL,
            processed_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (processor, position)
        )
    """)


def downgrade() -> None:
    op.execute("DROP TABLE processed_events")
