"""Audits hold the real account beside the given name; and who was shown payloads."""

from alembic import op

from fundlyhub.database.stamped import stamp, unstamp

revision = "events_0010"
down_revision = "events_0009"

DISCLOSURES = """
CREATE TABLE events.disclosures (
    id      bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    who     text        NOT NULL,
    command text        NOT NULL,
    what    text        NOT NULL
);
CREATE INDEX disclosures_at_idx ON events.disclosures (at);
"""
STAMPED = {
    "dead_letter_audit": "INSERT",
    "quarantine_audit": "INSERT",
    "processor_pause_audit": "INSERT",
    "payment_decisions": "INSERT OR UPDATE",
    "archives": "INSERT",
    "archives/restored": "UPDATE OF restored_by",
    "dropped_claims": "INSERT",
    "disclosures": "INSERT",
}


def upgrade() -> None:
    for part in (DISCLOSURES, stamp("events", STAMPED)):
        op.get_bind().exec_driver_sql(part)


def downgrade() -> None:
    op.get_bind().exec_driver_sql(unstamp("events", STAMPED))
    op.execute("DROP TABLE events.disclosures")
