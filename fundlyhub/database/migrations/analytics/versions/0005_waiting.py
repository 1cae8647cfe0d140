"""Differences that wait to be added to the campaign statistics, and a view with them."""

from alembic import op

revision = "analytics_0005"
down_revision = "analytics_0004"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE campaign_stats_waiting (
            xid               xid8        NOT NULL DEFAULT pg_current_xact_id(),
            campaign_id       uuid        NOT NULL,
            currency          text        NOT NULL,
            total_raised      numeric     NOT NULL,
            donation_count    bigint      NOT NULL,
            unique_donors     bigint      NOT NULL,
            largest_donation  numeric     NOT NULL,
            first_donation_at timestamptz NOT NULL,
            last_donation_at  timestamptz NOT NULL,
            refund_count      bigint      NOT NULL,
            total_refunded    numeric     NOT NULL
        )
    """)
    op.execute("CREATE INDEX campaign_stats_waiting_xid_idx ON campaign_stats_waiting (xid)")
    op.execute("""
        CREATE TABLE campaign_stats_added (
            one     boolean     PRIMARY KEY DEFAULT true CONSTRAINT campaign_stats_added_one_check CHECK (one),
            seen    pg_snapshot NOT NULL,
            next_at timestamptz NOT NULL DEFAULT now()
        )
    """)
    op.execute("""
        CREATE VIEW campaign_stats_now AS
        SELECT campaign_id, currency, sum(total_raised) AS total_raised, sum(donation_count)::bigint AS donation_count,
               round(sum(total_raised)::numeric(60, 20) / NULLIF(sum(donation_count), 0)::numeric, 4)
                   AS average_donation,
               sum(unique_donors)::bigint AS unique_donors, max(largest_donation) AS largest_donation,
               min(first_donation_at) AS first_donation_at, max(last_donation_at) AS last_donation_at,
               sum(refund_count)::bigint AS refund_count, sum(total_refunded) AS total_refunded
        FROM (
            SELECT campaign_id, currency, total_raised, donation_count, unique_donors, largest_donation,
                   first_donation_at, last_donation_at, refund_count, total_refunded
            FROM campaign_stats_projection
            UNION ALL
            SELECT campaign_id, currency, total_raised, donation_count, unique_donors, largest_donation,
                   first_donation_at, last_donation_at, refund_count, total_refunded
            FROM campaign_stats_waiting
        ) AS told
        GROUP BY campaign_id, currency
    """)


def downgrade() -> None:
    op.execute("""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM campaign_stats_waiting) THEN
                RAISE 'statistics wait to be added: let the workers run, and end what holds a transaction open';
            END IF;
        END $$
    """)
    op.execute("DROP VIEW campaign_stats_now")
    op.execute("DROP TABLE campaign_stats_waiting, campaign_stats_added")
