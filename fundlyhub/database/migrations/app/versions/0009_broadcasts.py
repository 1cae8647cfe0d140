"""How far the messages to many are."""

from alembic import op

revision = "app_0009"
down_revision = "app_0008"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE broadcasts (
            matter      text        COLLATE "C" NOT NULL,
            channel     text        NOT NULL,
            template    text        NOT NULL,
            event_id    uuid        NOT NULL,
            position    bigint      NOT NULL,
            after       uuid        NOT NULL,
            told        bigint      NOT NULL DEFAULT 0,
            skipped     jsonb       NOT NULL DEFAULT '{}',
            begun_at    timestamptz NOT NULL DEFAULT now(),
            finished_at timestamptz,
            PRIMARY KEY (matter, channel, template)
        )
    """)


def downgrade() -> None:
    op.execute("DROP TABLE broadcasts")
