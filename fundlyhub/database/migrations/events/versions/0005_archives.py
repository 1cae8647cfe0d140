"""Archives: the ids of events that were taken out of the log, which publishing looks at, and the files they are in."""

from importlib import import_module

from alembic import op

revision = "events_0005"
down_revision = "events_0004"

TABLES = """
CREATE TABLE events.event_ids (
    id       uuid   PRIMARY KEY,
    position bigint NOT NULL
);
CREATE TABLE events.archives (
    id                bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    low               bigint      NOT NULL,
    high              bigint      NOT NULL,
    events            bigint      NOT NULL,
    types             jsonb       NOT NULL,
    file              text        NOT NULL,
    sha256            text        NOT NULL,
    system_identifier bigint      NOT NULL,
    who               text        NOT NULL,
    archived_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    deleted           bigint      NOT NULL DEFAULT 0,
    finished_at       timestamptz,
    restoring_at      timestamptz,
    restored_at       timestamptz,
    restored_by       text
);
CREATE INDEX archives_away_idx ON events.archives (high) WHERE restored_at IS NULL;

-- Who may publish looks there from now on.
DO $$
DECLARE
    given record;
BEGIN
    FOR given IN
        SELECT DISTINCT coalesce(quote_ident(r.rolname), 'PUBLIC') AS role
        FROM pg_class c CROSS JOIN aclexplode(c.relacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
        WHERE c.oid = 'events.events'::regclass AND a.privilege_type IN ('INSERT', 'SELECT')
          AND a.grantee <> c.relowner
    LOOP
        EXECUTE 'GRANT SELECT ON events.event_ids, events.archives TO ' || given.role;
    END LOOP;
END
$$;
"""

INSERT_EVENTS = """
-- One door for all: inserts the events of a JSON array in its order; an id that is there already is
-- compared, not stored again. outcome: new, same, archived (it was in the log once, and cannot be compared any
-- more), or different (then the caller must raise an error).
CREATE OR REPLACE FUNCTION events.insert_events(batch jsonb, wake boolean DEFAULT true)
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
        -- OFFSET 0 keeps it a look at the index for each event: the table may be larger than when this was planned.
        WHERE NOT EXISTS (SELECT FROM events.event_ids i WHERE i.id = g.id OFFSET 0)
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
        SELECT g.n, coalesce(e.position, a.position), e.occurred_at,
               CASE WHEN e.position = ANY (fresh) AND row_number() OVER (PARTITION BY g.id ORDER BY g.n) = 1
                    THEN 'new'
                    WHEN e.position IS NULL
                    THEN 'archived'
                    WHEN e.type = g.type AND e.version = g.version AND e.payload = g.payload
                         AND (e.occurred_at = g.occurred_at OR NOT g.time_given)
                    THEN 'same'
                    ELSE 'different' END
        FROM jsonb_to_recordset(batch) AS g(n int, id uuid, type text, version text, payload jsonb,
             occurred_at timestamptz, time_given boolean)
        LEFT JOIN events.events e ON e.id = g.id
        LEFT JOIN events.event_ids a ON a.id = g.id
        WHERE coalesce(e.position, a.position) IS NOT NULL
        ORDER BY g.n;
END
$$;
"""

# Ids that are away could be published again, which nothing may do.
REFUSE = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM events.event_ids) THEN
        RAISE EXCEPTION 'events are archived: restore them first (fundlyhub events archives)';
    END IF;
END
$$;
"""


def upgrade() -> None:
    for part in (TABLES, INSERT_EVENTS):
        op.get_bind().exec_driver_sql(part)


def downgrade() -> None:
    before = import_module("fundlyhub.database.migrations.events.versions.0001_log").INSERT_EVENTS
    for part in (REFUSE, before.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")):
        op.get_bind().exec_driver_sql(part)
    op.execute("DROP TABLE events.archives, events.event_ids")
