"""By which payment each gift was given, and which gift is told of each payment."""

from alembic import op

revision = "app_0010"
down_revision = "app_0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE gift_donors ADD COLUMN payment_provider text, ADD COLUMN transaction_id text")
    op.execute("""
        CREATE INDEX gift_donors_transaction_id_idx ON gift_donors (transaction_id) WHERE transaction_id IS NOT NULL
    """)
    op.execute("CREATE TABLE payment_tellings (payment uuid PRIMARY KEY, donation_id uuid NOT NULL)")


def downgrade() -> None:
    op.execute("DROP TABLE payment_tellings")
    op.execute("DROP INDEX gift_donors_transaction_id_idx")
    op.execute("ALTER TABLE gift_donors DROP COLUMN payment_provider, DROP COLUMN transaction_id")
