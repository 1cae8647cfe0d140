"""Donations and refunds, their totals by donor, and badges."""

from alembic import op

revision = "leaderboard_0001"
down_revision = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE leaderboard_gifts (
            donation_id uuid    PRIMARY KEY,
            position    bigint  NOT NULL,
            campaign_id uuid    NOT NULL,
            donor_id    uuid,
            currency    text    NOT NULL,
            amount      numeric NOT NULL
        );
        CREATE INDEX leaderboard_gifts_by_campaign ON leaderboard_gifts (campaign_id, currency);
        CREATE TABLE leaderboard_refunds (
            donation_id uuid    NOT NULL,
            refund_id   text    NOT NULL,
            cumulative  boolean NOT NULL,
            position    bigint  NOT NULL,
            amount      numeric NOT NULL,
            PRIMARY KEY (donation_id, refund_id, cumulative)
        );
        CREATE TABLE leaderboard_badges (
            campaign_id uuid        NOT NULL,
            donor_id    uuid        NOT NULL,
            badge       text        NOT NULL,
            place       bigint      NOT NULL,
            awarded_at  timestamptz NOT NULL,
            PRIMARY KEY (campaign_id, donor_id, badge)
        );
        CREATE VIEW leaderboard_totals AS
        SELECT gift.campaign_id, gift.currency, gift.donor_id, sum(gift.amount - returned.amount) AS total
        FROM leaderboard_gifts AS gift CROSS JOIN LATERAL (
            SELECT least(gift.amount, greatest(
                coalesce(max(amount) FILTER (WHERE cumulative), 0),
                coalesce(sum(amount) FILTER (WHERE NOT cumulative), 0))) AS amount
            FROM leaderboard_refunds AS refund WHERE refund.donation_id = gift.donation_id
        ) AS returned
        WHERE gift.donor_id IS NOT NULL
        GROUP BY gift.campaign_id, gift.currency, gift.donor_id;
    """)


def downgrade() -> None:
    op.execute("DROP VIEW leaderboard_totals; DROP TABLE leaderboard_gifts, leaderboard_refunds, leaderboard_badges")
