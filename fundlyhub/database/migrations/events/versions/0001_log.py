"""The event log, the door to it from SQL, the relay's cursors, and what became of failed events."""

from alembic import op

revision = "events_0001"
down_revision = None

LOG = """
CREATE TABLE events.events (
    position       bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid            xid8        NOT NULL DEFAULT pg_current_xact_id(),
    id             uuid        NOT NULL,
    type           text        NOT NULL,
    version        text        NOT NULL,
    aggregate_type text,
    aggregate_id   text,
    payload        jsonb       NOT NULL,
    metadata       jsonb       NOT NULL DEFAULT '{}',
    correlation_id uuid,
    causation_id   uuid,
    occurred_at    timestamptz NOT NULL,
    recorded_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT events_id_key UNIQUE (id)
);
CREATE INDEX events_xid_idx ON events.events (xid);

-- 1: the relay is awake, 2: it sleeps and wants a NOTIFY. A sequence is seen at every isolation level and
-- leaves no row versions behind.
CREATE SEQUENCE events.relay_sleep MINVALUE 1 MAXVALUE 2;

-- Keys that are taken out of a payload before it is stored, in "changes" and "previousValues" too, and out of
-- any event's metadata.
CREATE TABLE events.secret_keys (
    type text NOT NULL,
    key  text NOT NULL,
    PRIMARY KEY (type, key)
);
INSERT INTO events.secret_keys (type, key) VALUES
    ('user.logged_in', 'sessionId'),
    ('user.logged_in', 'session_id');
INSERT INTO events.secret_keys (type, key)
SELECT type, key
FROM unnest(ARRAY['campaign.created', 'campaign.updated']) AS type,
     unnest(ARRAY['passcode', 'passcodeHash', 'passcode_hash',
                  'linkToken', 'link_token', 'linkTokenHash', 'link_token_hash']) AS key;
"""

INSERT_EVENTS = """
-- One door for all: inserts the events of a JSON array in its order; an id that is there already is
-- compared, not stored again. outcome: new, same, or different (then the caller must raise an error).
CREATE FUNCTION events.insert_events(batch jsonb, wake boolean DEFAULT true)
RETURNS TABLE (n integer, stored_position bigint, stored_at timestamptz, outcome text)
LANGUAGE plpgsql AS $$
DECLARE
    fresh bigint[];
BEGIN
    WITH inserted AS (
        INSERT INTO events.events (id, type, version, aggregate_type, aggregate_id, payload, metadata,
                                   correlation_id, causation_id, occurred_at)
        SELECT g.id, g.type, g.version, g.aggregate_type, g.aggregate_id, g.payload,
               coalesce(g.metadata, '{}'), g.correlation_id, g.causation_id, g.occurred_at
        FROM jsonb_to_recordset(batch) AS g(n int, id uuid, type text, version text, aggregate_type text,
             aggregate_id text, payload jsonb, metadata jsonb, correlation_id uuid, causation_id uuid,
             occurred_at timestamptz)
        ORDER BY g.n
        ON CONFLICT (id) DO NOTHING
        RETURNING position
    )
    SELECT coalesce(array_agg(position ORDER BY position), '{}') INTO fresh FROM inserted;

    IF wake AND cardinality(fresh) > 0 AND (SELECT last_value FROM events.relay_sleep) = 2 THEN
        PERFORM pg_notify('fundlyhub_relay', '');
    END IF;

    IF cardinality(fresh) = jsonb_array_length(batch) THEN
        RETURN QUERY
            SELECT f.ordinality::int, f.position, NULL::timestamptz, 'new'
            FROM unnest(fresh) WITH ORDINALITY AS f(position, ordinality);
        RETURN;
    END IF;

    RETURN QUERY
        SELECT g.n, e.position, e.occurred_at,
               CASE WHEN e.position = ANY (fresh) AND row_number() OVER (PARTITION BY g.id ORDER BY g.n) = 1
                    THEN 'new'
                    WHEN e.type = g.type AND e.version = g.version AND e.payload = g.payload
                         AND (e.occurred_at = g.occurred_at OR NOT g.time_given)
                    THEN 'same'
                    ELSE 'different' END
        FROM jsonb_to_recordset(batch) AS g(n int, id uuid, type text, version text, payload jsonb,
             occurred_at timestamptz, time_given boolean)
        JOIN events.events e ON e.id = g.id
        ORDER BY g.n;
END
$$;
"""

PUBLISH_EVENT = """
-- The door for every other language: SELECT events.publish_event('user.followed_user', '{...}').
-- Returns the event's id. What it cannot check here is checked when the event is processed.
CREATE FUNCTION events.publish_event(
    type           text,
    payload        jsonb,
    id             uuid        DEFAULT NULL,
    version        text        DEFAULT '1.0.0',
    occurred_at    timestamptz DEFAULT NULL,
    correlation_id uuid        DEFAULT NULL,
    causation_id   uuid        DEFAULT NULL,
    metadata       jsonb       DEFAULT '{}',
    aggregate_type text        DEFAULT NULL,
    aggregate_id   text        DEFAULT NULL,
    notify         boolean     DEFAULT true
) RETURNS uuid
LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
    secrets    text[];  -- of this type
    any_secret text[];
    clean      jsonb := payload;
    event      uuid  := coalesce(id, gen_random_uuid());
    found      text;
BEGIN
    IF type IS NULL OR type !~ '^[a-z][a-z0-9_]*(\\.[a-z][a-z0-9_]*){1,3}$' OR length(type) > 200 THEN
        RAISE EXCEPTION 'publish_event: type must be two to four dotted lower-case words'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF version IS NULL OR version !~ '^[0-9]{1,6}(\\.[0-9]{1,6}){1,2}$' THEN
        RAISE EXCEPTION 'publish_event: version must be two or three numbers, such as 1.0.0'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT isfinite(occurred_at) THEN
        RAISE EXCEPTION 'publish_event: occurred_at must be finite' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF jsonb_typeof(metadata) <> 'object' THEN
        RAISE EXCEPTION 'publish_event: metadata must be a JSON object'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF payload IS NULL OR jsonb_typeof(payload) <> 'object' THEN
        RAISE EXCEPTION 'publish_event: payload must be a JSON object'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT coalesce(array_agg(s.key) FILTER (WHERE s.type = publish_event.type), '{}'), array_agg(s.key)
        INTO secrets, any_secret FROM events.secret_keys s;
    IF cardinality(secrets) > 0 THEN
        clean := clean - secrets;
        IF jsonb_typeof(clean -> 'changes') = 'object' THEN
            clean := jsonb_set(clean, '{changes}', (clean -> 'changes') - secrets);
        END IF;
        IF jsonb_typeof(clean -> 'previousValues') = 'object' THEN
            clean := jsonb_set(clean, '{previousValues}', (clean -> 'previousValues') - secrets);
        END IF;
    END IF;
    SELECT i.outcome INTO found FROM events.insert_events(jsonb_build_array(jsonb_build_object(
        'n', 1, 'id', event, 'type', type, 'version', version, 'payload', clean,
        'metadata', metadata - any_secret,
        'aggregate_type', aggregate_type, 'aggregate_id', aggregate_id,
        'correlation_id', correlation_id, 'causation_id', causation_id,
        'occurred_at', coalesce(occurred_at, clock_timestamp()),
        'time_given', occurred_at IS NOT NULL)), notify) i;
    IF found = 'different' THEN
        RAISE EXCEPTION 'publish_event: event % is in the log already, with other content', event
            USING ERRCODE = 'unique_violation';
    END IF;
    RETURN event;
END
$$;
"""

RELAY = """
CREATE TABLE events.relay_cursors (
    name              text        PRIMARY KEY,
    system_identifier bigint      NOT NULL,
    epoch             bigint      NOT NULL DEFAULT 0,
    seen              pg_snapshot NOT NULL,
    target            pg_snapshot,
    after             bigint      NOT NULL DEFAULT 0,
    moved_at          timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE events.processors (
    name          text        PRIMARY KEY,
    patterns      text[]      NOT NULL,
    from_position bigint      NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE events.unrouted (
    type          text   PRIMARY KEY,
    events        bigint NOT NULL,
    last_position bigint NOT NULL
);
"""

PROCESSING = """
CREATE TABLE events.processed_events (
    processor    text        NOT NULL,
    position     bigint      NOT NULL,
    event_id     uuid        NOT NULL,
    processed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (processor, position)
);
CREATE TABLE events.attempts (
    processor   text        NOT NULL,
    position    bigint      NOT NULL,
    attempts    integer     NOT NULL,
    first_seen  timestamptz NOT NULL,
    next_at     timestamptz NOT NULL,
    error_class text,
    PRIMARY KEY (processor, position)
);
CREATE INDEX attempts_next_at_idx ON events.attempts (next_at);
CREATE TABLE events.dead_letters (
    id              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    processor       text        NOT NULL,
    position        bigint      NOT NULL,
    event_id        uuid        NOT NULL,
    type            text        NOT NULL,
    error_class     text        NOT NULL,
    error_message   text        NOT NULL,
    traceback       text        NOT NULL,
    fingerprint     text        NOT NULL,
    attempts        integer     NOT NULL,
    first_failed_at timestamptz NOT NULL,
    last_failed_at  timestamptz NOT NULL,
    state           text        NOT NULL DEFAULT 'open',
    CONSTRAINT dead_letters_processor_position_key UNIQUE (processor, position),
    CONSTRAINT dead_letters_state_check CHECK (state IN ('open', 'replayed', 'discarded'))
);
CREATE INDEX dead_letters_fingerprint_idx ON events.dead_letters (fingerprint);
"""


def upgrade() -> None:
    for part in (LOG, INSERT_EVENTS, PUBLISH_EVENT, RELAY, PROCESSING):
        op.execute(part.replace(":", r"\:"))


def downgrade() -> None:
    op.execute("DROP SCHEMA events CASCADE")
