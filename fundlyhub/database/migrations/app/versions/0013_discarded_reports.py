"""A delivery report that cannot be applied is discarded by a person, with a reason."""

from alembic import op

revision = "app_0013"
down_revision = "app_0012"

ADD = """
ALTER TABLE delivery_reports
    ADD COLUMN discarded_at   timestamptz,
    ADD COLUMN discarded_by   text,
    ADD COLUMN discard_reason text;
"""
DROP = """
DELETE FROM delivery_reports WHERE discarded_at IS NOT NULL;
ALTER TABLE delivery_reports DROP COLUMN discarded_at, DROP COLUMN discarded_by, DROP COLUMN discard_reason;
"""


def upgrade() -> None:
    op.execute(ADD)


def downgrade() -> None:
    op.execute(DROP)
