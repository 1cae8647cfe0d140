"""Donors, payout requests and sign-ins say which event they are of, so that an erasure finds them after a failover."""

from alembic import op

revision = "app_0023"
down_revision = "app_0022"
branch_labels = None
depends_on = None

TABLES = ("gift_donors", "payout_requests", "sign_ins")


def upgrade() -> None:
    for name in TABLES:
        op.execute(f"ALTER TABLE {name} ADD COLUMN event_id uuid")


def downgrade() -> None:
    for name in TABLES:
        op.execute(f"ALTER TABLE {name} DROP COLUMN event_id")
