"""Users of the console, their sessions, and links that sign somebody in once."""

from alembic import op

revision = "events_0016"
down_revision = "events_0015"

# Of tokens only the SHA-256 is kept: who reads this table or a backup of it signs in as nobody.
TABLES = """
CREATE TABLE events.console_users (
    name        text        PRIMARY KEY CHECK (name ~ '^[a-z0-9][a-z0-9._@-]{0,63}$'),
    level       text        NOT NULL CHECK (level IN ('viewer', 'operator', 'privacy')),
    password    text,
    made_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    disabled_at timestamptz
);
CREATE TABLE events.console_sessions (
    token    bytea       PRIMARY KEY CHECK (octet_length(token) = 32),
    name     text        NOT NULL REFERENCES events.console_users ON DELETE CASCADE,
    via      text        NOT NULL CHECK (via IN ('password', 'link', 'proxy')),
    began_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX console_sessions_name_idx ON events.console_sessions (name);
CREATE TABLE events.console_links (
    token    bytea       PRIMARY KEY CHECK (octet_length(token) = 32),
    name     text        NOT NULL REFERENCES events.console_users ON DELETE CASCADE,
    until    timestamptz NOT NULL
);
CREATE TABLE events.console_audit (
    id      bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    name    text        NOT NULL,
    who     text        NOT NULL,
    action  text        NOT NULL,
    details text,
    account text,
    role    text
);
CREATE INDEX console_audit_at_idx ON events.console_audit (at);
CREATE TRIGGER console_audit_account BEFORE INSERT ON events.console_audit
    FOR EACH ROW EXECUTE FUNCTION events.stamp_account('account', 'role');
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(TABLES)


def downgrade() -> None:
    for table in ("console_audit", "console_links", "console_sessions", "console_users"):
        op.execute(f"DROP TABLE events.{table}")
