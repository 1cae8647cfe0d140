"""Why each address is suppressed: who told it, in which words, about which message."""

from alembic import op

revision = "app_0005"
down_revision = "app_0004"

CAUSES = """
CREATE TABLE suppression_causes (
    id              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    channel         text        NOT NULL,
    address_hash    text        NOT NULL,
    reason          text        NOT NULL
        CONSTRAINT suppression_causes_reason_check CHECK (reason IN ('bounced', 'complained', 'gone')),
    told_by         text        NOT NULL,
    said            text        NOT NULL,
    told_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    user_id         uuid,
    notification_id uuid,
    device_id       uuid,
    lifted_at       timestamptz,
    lifted_by       text
);
CREATE INDEX suppression_causes_address_idx ON suppression_causes (channel, address_hash);
CREATE INDEX suppression_causes_told_at_idx ON suppression_causes (told_at);
CREATE INDEX suppression_causes_device_id_idx ON suppression_causes (device_id) WHERE device_id IS NOT NULL;
"""


def upgrade() -> None:
    op.execute(CAUSES)


def downgrade() -> None:
    op.execute("DROP TABLE suppression_causes")
