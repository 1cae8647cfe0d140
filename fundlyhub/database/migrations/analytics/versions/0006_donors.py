"""Donors of a campaign are known, and no longer counted.

Workers of the release before go on counting until they are replaced: a new row begins at 1, and when they take a
donation back the trigger tells them what is left. This release never updates a row, and meets no trigger.
"""

from alembic import op

revision = "analytics_0006"
down_revision = "analytics_0005"


def upgrade() -> None:
    op.execute("ALTER TABLE campaign_donors ALTER donation_count SET DEFAULT 1")
    op.execute("""
        CREATE FUNCTION count_campaign_donor() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            SELECT count(*) INTO new.donation_count FROM donation_facts AS fact
            WHERE fact.campaign_id = new.campaign_id AND fact.currency = new.currency AND fact.donor_id = new.donor_id;
            RETURN new;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER count_campaign_donor BEFORE UPDATE ON campaign_donors FOR EACH ROW
        WHEN (new.donation_count < old.donation_count) EXECUTE FUNCTION count_campaign_donor()
    """)


def downgrade() -> None:
    op.execute("LOCK TABLE campaign_donors IN EXCLUSIVE MODE")
    op.execute("DROP TRIGGER count_campaign_donor ON campaign_donors")
    op.execute("DROP FUNCTION count_campaign_donor")
    op.execute("ALTER TABLE campaign_donors ALTER donation_count DROP DEFAULT")
    op.execute("""
        UPDATE campaign_donors AS known SET donation_count = given.number
        FROM (
            SELECT campaign_id, currency, donor_id, count(*) AS number FROM donation_facts
            GROUP BY campaign_id, currency, donor_id
        ) AS given
        WHERE known.campaign_id = given.campaign_id AND known.currency = given.currency
          AND known.donor_id = given.donor_id AND known.donation_count <> given.number
    """)
