"""Pauses of processors, with an audit, and the failures that lead to them."""

from alembic import op

revision = "events_0008"
down_revision = "events_0007"

PAUSES = """
CREATE TABLE events.processor_pauses (
    processor   text        NOT NULL,
    kind        text        NOT NULL,
    who         text        NOT NULL,
    reason      text        NOT NULL,
    since       timestamptz NOT NULL DEFAULT clock_timestamp(),
    until       timestamptz,
    fingerprint text,
    failed      integer,
    probe_at    timestamptz,
    probes      integer     NOT NULL DEFAULT 0,
    probing     bigint[]    NOT NULL DEFAULT '{}',
    ended_at    timestamptz,
    CONSTRAINT processor_pauses_pkey PRIMARY KEY (processor, kind),
    CONSTRAINT processor_pauses_kind_check CHECK (kind IN ('burst', 'by hand'))
);

CREATE TABLE events.processor_pause_audit (
    id        bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    processor text        NOT NULL,
    kind      text        NOT NULL,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    who       text        NOT NULL,
    action    text        NOT NULL,
    details   text,
    CONSTRAINT processor_pause_audit_action_check CHECK (action IN ('paused', 'resumed'))
);
CREATE INDEX processor_pause_audit_processor_idx ON events.processor_pause_audit (processor, id);

CREATE TABLE events.failure_bursts (
    processor   text        NOT NULL,
    fingerprint text        NOT NULL,
    began_at    timestamptz NOT NULL,
    failed      integer     NOT NULL,
    succeeded   integer     NOT NULL,
    CONSTRAINT failure_bursts_pkey PRIMARY KEY (processor, fingerprint)
);
"""


def upgrade() -> None:
    op.execute(PAUSES)


def downgrade() -> None:
    op.execute("DROP TABLE events.failure_bursts, events.processor_pause_audit, events.processor_pauses")
