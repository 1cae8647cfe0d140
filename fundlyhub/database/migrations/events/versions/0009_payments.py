"""Which donation was the first of its payment, and what people have decided about the others."""

from alembic import op

revision = "events_0009"
down_revision = "events_0008"


def upgrade() -> None:
    # It locks the log against publishers while it is built. On a log of millions of donations build it before the
    # upgrade, with CREATE INDEX CONCURRENTLY (docs/growth.md); then there is nothing left to do here.
    op.execute("""
        CREATE INDEX IF NOT EXISTS events_payment_idx ON events.events (
            (md5(translate(replace(lower(payload ->> 'campaignId'), 'urn:uuid:', ''), '{}-', '')
                 || ' ' || (payload ->> 'paymentProvider') || ' ' || (payload ->> 'transactionId'))::uuid),
            position
        ) WHERE type = 'donation.completed'
    """)
    op.execute("""
        CREATE TABLE events.payment_decisions (
            donation_id uuid        PRIMARY KEY,
            accepted    boolean     NOT NULL,
            who         text        NOT NULL,
            reason      text        NOT NULL,
            decided_at  timestamptz NOT NULL DEFAULT clock_timestamp()
        )
    """)


def downgrade() -> None:
    op.execute("DROP TABLE events.payment_decisions")
    op.execute("DROP INDEX events.events_payment_idx")
