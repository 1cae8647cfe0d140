"""The tables of the campaign statistics."""

from alembic import op

revision = "analytics_0002"
down_revision = "analytics_0001"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE donation_facts (
            donation_id  uuid    PRIMARY KEY,
            position     bigint,
            campaign_id  uuid,
            currency     text,
            donor_id     uuid,
            amount       numeric,
            donated_at   timestamptz,
            refunded     numeric NOT NULL,
            refund_count integer NOT NULL
        )
    """)
    op.execute("CREATE INDEX donation_facts_campaign_id_idx ON donation_facts (campaign_id, currency)")
    op.execute("""
        CREATE TABLE donation_refunds (
            donation_id           uuid    NOT NULL,
            refund_transaction_id text    NOT NULL,
            position              bigint  NOT NULL,
            amount                numeric NOT NULL,
            cumulative            boolean NOT NULL,
            highest               numeric,
            PRIMARY KEY (donation_id, refund_transaction_id)
        )
    """)
    op.execute("""
        CREATE TABLE donation_anomalies (
            donation_id uuid   NOT NULL,
            kind        text   NOT NULL,
            position    bigint NOT NULL,
            PRIMARY KEY (donation_id, kind, position)
        )
    """)
    op.execute("""
        CREATE TABLE campaign_donors (
            campaign_id    uuid   NOT NULL,
            currency       text   NOT NULL,
            donor_id       uuid   NOT NULL,
            donation_count bigint NOT NULL,
            PRIMARY KEY (campaign_id, currency, donor_id)
        )
    """)
    op.execute("""
        CREATE TABLE campaign_stats_projection (
            campaign_id       uuid        NOT NULL,
            currency          text        NOT NULL,
            total_raised      numeric     NOT NULL,
            donation_count    bigint      NOT NULL,
            average_donation  numeric     GENERATED ALWAYS AS
                (round(total_raised::numeric(60, 20) / NULLIF(donation_count, 0)::numeric, 4)) STORED,
            unique_donors     bigint      NOT NULL,
            largest_donation  numeric     NOT NULL,
            first_donation_at timestamptz NOT NULL,
            last_donation_at  timestamptz NOT NULL,
            refund_count      bigint      NOT NULL,
            total_refunded    numeric     NOT NULL,
            PRIMARY KEY (campaign_id, currency)
        )
    """)


def downgrade() -> None:
    op.execute("""
        DROP TABLE campaign_stats_projection, campaign_donors,
                   donation_anomalies, donation_refunds, donation_facts
    """)
