"""The transaction of each gift, by which a failed payment finds the gift that was paid after all."""

from alembic import op

revision = "app_0010"
down_revision = "app_0009"


def upgrade() -> None:
    op.execute("ALTER TABLE gift_donors ADD COLUMN transaction_id text")
    op.execute("""
        CREATE INDEX gift_donors_transaction_id_idx ON gift_donors (transaction_id) WHERE transaction_id IS NOT NULL
    """)


def downgrade() -> None:
    op.execute("DROP INDEX gift_donors_transaction_id_idx")
    op.execute("ALTER TABLE gift_donors DROP COLUMN transaction_id")
