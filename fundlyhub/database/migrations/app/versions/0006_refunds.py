"""What was returned of each gift, for the feed and for messages, and what messages tell of it."""

from alembic import op

revision = "app_0006"
down_revision = "app_0005"

REFUNDS = """
CREATE TABLE {name} (
    donation_id           uuid    NOT NULL,
    refund_transaction_id text    NOT NULL,
    position              bigint  NOT NULL,
    amount                numeric NOT NULL,
    cumulative            boolean NOT NULL,
    highest               numeric,
    PRIMARY KEY (donation_id, refund_transaction_id)
)
"""
TELLINGS = """
CREATE TABLE refund_tellings (
    donation_id uuid    NOT NULL,
    event_id    uuid    NOT NULL,
    amount      numeric NOT NULL,
    total       numeric NOT NULL,
    PRIMARY KEY (donation_id, event_id)
)
"""


def upgrade() -> None:
    op.execute(REFUNDS.format(name="feed_refunds"))
    op.execute(REFUNDS.format(name="gift_refunds"))
    op.execute(TELLINGS)
    op.execute("ALTER TABLE feed_gifts ADD COLUMN refunded numeric NOT NULL DEFAULT 0")


def downgrade() -> None:
    op.execute("ALTER TABLE feed_gifts DROP COLUMN refunded")
    op.execute("DROP TABLE refund_tellings")
    op.execute("DROP TABLE gift_refunds")
    op.execute("DROP TABLE feed_refunds")
