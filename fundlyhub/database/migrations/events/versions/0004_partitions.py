"""Claims in partitions by position, and what is known of dropped ones; marks in the log."""

from alembic import op

from fundlyhub.database.partitioned import join, partition

revision = "events_0004"
down_revision = "events_0003"

# Marks: when the log had come to a position, this transaction began; see retention/log_marks.py.
MARKS = """
CREATE TABLE events.log_marks (
    position bigint      PRIMARY KEY,
    xid      xid8        NOT NULL DEFAULT pg_current_xact_id(),
    taken_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(partition("events"))
    op.execute(MARKS)


def downgrade() -> None:
    op.execute("DROP TABLE events.log_marks")
    op.get_bind().exec_driver_sql(join("events"))
