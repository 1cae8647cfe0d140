"""What operators do with dead letters: a fourth state, corrected payloads, an audit, and indexes for lists."""

from alembic import op

revision = "events_0002"
down_revision = "events_0001"

LETTERS = """
ALTER TABLE events.dead_letters
    ADD COLUMN aggregate_type text,
    ADD COLUMN aggregate_id   text,
    ADD COLUMN changed_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    DROP CONSTRAINT dead_letters_state_check,
    ADD CONSTRAINT dead_letters_state_check CHECK (state IN ('open', 'replayed', 'discarded', 'resolved'));
UPDATE events.dead_letters d
SET changed_at = d.last_failed_at, aggregate_type = e.aggregate_type, aggregate_id = e.aggregate_id
FROM events.events e WHERE e.position = d.position;
CREATE INDEX dead_letters_aggregate_id_idx ON events.dead_letters (aggregate_id);
CREATE INDEX dead_letters_newest_idx ON events.dead_letters (state, last_failed_at, id);
-- All that a list of groups counts, so that it reads no letter with its traceback.
CREATE INDEX dead_letters_groups_idx ON events.dead_letters (state, fingerprint)
    INCLUDE (id, first_failed_at, last_failed_at);
"""

OPERATORS = """
CREATE TABLE events.dead_letter_audit (
    id        bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    letter_id bigint      NOT NULL REFERENCES events.dead_letters (id),
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    who       text        NOT NULL,
    action    text        NOT NULL,
    details   text,
    CONSTRAINT dead_letter_audit_action_check CHECK (action IN (
        'failed', 'replayed', 'applied', 'skipped', 'edited', 'edit undone', 'discarded', 'restored', 'imported'))
);
CREATE INDEX dead_letter_audit_letter_id_idx ON events.dead_letter_audit (letter_id, id);
INSERT INTO events.dead_letter_audit (letter_id, at, who, action, details)
SELECT id, last_failed_at, 'worker', 'failed', error_message FROM events.dead_letters ORDER BY id;

-- A payload that a person has put in the place of an event's own, for one processor. The log stays as it is.
CREATE TABLE events.corrections (
    processor text    NOT NULL,
    position  bigint  NOT NULL,
    event_id  uuid    NOT NULL,
    version   text    NOT NULL,
    payload   jsonb   NOT NULL,
    PRIMARY KEY (processor, position)
);
"""


def upgrade() -> None:
    for part in (LETTERS, OPERATORS):
        op.execute(part.replace(":", r"\:"))


def downgrade() -> None:
    op.execute("""
        DROP TABLE events.corrections, events.dead_letter_audit;
        DROP INDEX events.dead_letters_aggregate_id_idx, events.dead_letters_newest_idx, events.dead_letters_groups_idx;
        UPDATE events.dead_letters SET state = 'discarded' WHERE state = 'resolved';
        ALTER TABLE events.dead_letters
            DROP COLUMN aggregate_type, DROP COLUMN aggregate_id, DROP COLUMN changed_at,
            DROP CONSTRAINT dead_letters_state_check,
            ADD CONSTRAINT dead_letters_state_check CHECK (state IN ('open', 'replayed', 'discarded'));
    """)
