"""Tokens for the console's API: each belongs to a user of the console."""

from alembic import op

revision = "events_0018"
down_revision = "events_0017"

# Of tokens only the SHA-256 is kept, as of sessions.
TABLE = """
CREATE TABLE events.console_tokens (
    name        text        PRIMARY KEY CHECK (name ~ '^[a-z0-9][a-z0-9._@-]{0,63}$'),
    user_name   text        NOT NULL REFERENCES events.console_users ON DELETE CASCADE,
    level       text        NOT NULL CHECK (level IN ('viewer', 'operator', 'privacy')),
    token       bytea       NOT NULL UNIQUE CHECK (octet_length(token) = 32),
    made_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    until       timestamptz NOT NULL,
    used_at     timestamptz,
    disabled_at timestamptz
);
CREATE INDEX console_tokens_user_idx ON events.console_tokens (user_name);
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(TABLE)


def downgrade() -> None:
    op.execute("DROP TABLE events.console_tokens")
