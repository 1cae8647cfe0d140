"""Quarantine: entries of streams that cannot be events, with their fields and the reason, and an audit."""

from alembic import op

revision = "events_0003"
down_revision = "events_0002"

QUARANTINE = """
-- fields: [[name, value], …] as they came, without secrets; what is no text is {"base64": …}.
CREATE TABLE events.quarantine (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream      text        NOT NULL,
    entry_id    text        NOT NULL,
    digest      bytea       NOT NULL,
    type        text,
    fields      jsonb       NOT NULL,
    reason      text        NOT NULL,
    state       text        NOT NULL DEFAULT 'open',
    event_id    uuid,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT quarantine_stream_entry_id_digest_key UNIQUE (stream, entry_id, digest),
    CONSTRAINT quarantine_state_check CHECK (state IN ('open', 'released', 'discarded'))
);
CREATE INDEX quarantine_newest_idx ON events.quarantine (state, received_at, id);

CREATE TABLE events.quarantine_audit (
    id            bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    quarantine_id bigint      NOT NULL REFERENCES events.quarantine (id),
    at            timestamptz NOT NULL DEFAULT clock_timestamp(),
    who           text        NOT NULL,
    action        text        NOT NULL,
    details       text,
    CONSTRAINT quarantine_audit_action_check CHECK (action IN ('quarantined', 'released', 'refused', 'discarded'))
);
CREATE INDEX quarantine_audit_quarantine_id_idx ON events.quarantine_audit (quarantine_id, id);
"""


def upgrade() -> None:
    op.execute(QUARANTINE.replace(":", r"\:"))


def downgrade() -> None:
    op.execute("DROP TABLE events.quarantine_audit, events.quarantine")
