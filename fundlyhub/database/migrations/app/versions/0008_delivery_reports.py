"""What providers tell is stored before it is taken up."""

from alembic import op

revision = "app_0008"
down_revision = "app_0007"

REPORTS = """
CREATE TABLE delivery_reports (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider    text        NOT NULL,
    words       jsonb       NOT NULL,
    bytes       integer     NOT NULL,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    failed_at   timestamptz,
    error       text
);
CREATE INDEX delivery_reports_waiting_idx ON delivery_reports (id) WHERE failed_at IS NULL;
"""


def upgrade() -> None:
    op.execute(REPORTS)


def downgrade() -> None:
    op.execute("DROP TABLE delivery_reports")
