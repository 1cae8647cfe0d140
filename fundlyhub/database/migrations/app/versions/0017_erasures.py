"""The journal of erasures, as far as this database has been erased: keyed hashes only."""

from alembic import op

revision = "app_0017"
down_revision = "app_0016"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE app.erasures (
            id          uuid        PRIMARY KEY,
            hashes      text[]      NOT NULL,
            up_to       bigint      NOT NULL,
            finished_at timestamptz NOT NULL DEFAULT clock_timestamp()
        )
    """)


def downgrade() -> None:
    op.execute("DROP TABLE app.erasures")
