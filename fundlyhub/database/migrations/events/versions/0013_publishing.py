"""Publishing by a view and functions that act as the log's owner, so that a publisher needs no right on any table."""

from importlib import import_module

from alembic import op

revision = "events_0013"
down_revision = "events_0012"

PUBLICATIONS = """
-- One event, in the usual case: INSERT INTO events.publications (id, ...) ... ON CONFLICT (id) DO NOTHING RETURNING
-- position. It takes what surely keeps the rules and hides no secret, and nothing once a role is limited or an id is
-- archived: append_events is for all others. A function would cost a short transaction a fifth more, since PL/pgSQL
-- prepares its expressions anew in each. It shows a role the ids and positions of its own transaction alone.
CREATE VIEW events.publications WITH (security_barrier) AS
SELECT position, id, type, version, aggregate_type, aggregate_id, payload, metadata, correlation_id, causation_id,
       occurred_at
FROM events.events
WHERE xid = pg_current_xact_id_if_assigned()
  AND pg_sequence_last_value('events.closer_look') IS NULL
  AND events.is_plain(type, version, aggregate_type, aggregate_id, payload, metadata, occurred_at)
WITH CHECK OPTION;
"""

APPEND_EVENTS = """
-- The events of a JSON array, in its order. An id that is there already is compared, not stored again. outcome: new,
-- same, archived (it was in the log once, and cannot be compared any more), or different (then the caller must raise
-- an error, and learns nothing of the other event).
CREATE FUNCTION events.append_events(batch jsonb, wake boolean DEFAULT true)
RETURNS TABLE (n integer, stored_position bigint, stored_at timestamptz, outcome text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    fresh bigint[];
    wanted jsonb := batch;
BEGIN
    IF pg_sequence_last_value('events.closer_look') IS NOT NULL THEN
        PERFORM events.check_types((SELECT array_agg(g.type) FROM jsonb_to_recordset(batch) AS g(type text)));
        -- OFFSET 0 keeps it a look at the index for each event: the table may be larger than when this was planned.
        SELECT coalesce(jsonb_agg(e.value), '[]') INTO wanted
        FROM jsonb_array_elements(batch) AS e
        WHERE NOT EXISTS (SELECT FROM events.event_ids i WHERE i.id = (e.value ->> 'id')::uuid OFFSET 0);
    END IF;
    WITH inserted AS (
        INSERT INTO events.events (id, type, version, aggregate_type, aggregate_id, payload, metadata,
                                   correlation_id, causation_id, occurred_at)
        SELECT g.id, g.type, g.version, g.aggregate_type, g.aggregate_id,
               CASE WHEN c.plain THEN g.payload
                    ELSE events.checked_payload(g.type, g.version, g.aggregate_type, g.aggregate_id, g.payload,
                                                coalesce(g.metadata, '{}'), g.occurred_at) END,
               CASE WHEN c.plain THEN coalesce(g.metadata, '{}')
                    ELSE events.without_keys(coalesce(g.metadata, '{}'), events.secret_names('')) END,
               g.correlation_id, g.causation_id, g.occurred_at
        FROM jsonb_to_recordset(wanted) AS g(n int, id uuid, type text, version text, aggregate_type text,
             aggregate_id text, payload jsonb, metadata jsonb, correlation_id uuid, causation_id uuid,
             occurred_at timestamptz)
        CROSS JOIN LATERAL (SELECT events.is_plain(g.type, g.version, g.aggregate_type, g.aggregate_id, g.payload,
                                                   coalesce(g.metadata, '{}'), g.occurred_at) AS plain OFFSET 0) AS c
        ORDER BY g.n
        ON CONFLICT (id) DO NOTHING
        RETURNING position
    )
    SELECT coalesce(array_agg(position ORDER BY position), '{}') INTO fresh FROM inserted;

    IF wake AND cardinality(fresh) > 0 AND pg_sequence_last_value('events.relay_sleep') = 2 THEN
        PERFORM pg_notify('fundlyhub_relay', '');
    END IF;

    IF cardinality(fresh) = jsonb_array_length(batch) THEN
        RETURN QUERY
            SELECT f.ordinality::int, f.position, NULL::timestamptz, 'new'
            FROM unnest(fresh) WITH ORDINALITY AS f(position, ordinality);
        RETURN;
    END IF;

    RETURN QUERY
        SELECT c.n, CASE WHEN c.outcome <> 'different' THEN c.position END,
               CASE WHEN c.outcome <> 'different' THEN c.occurred_at END, c.outcome
        FROM (
            SELECT g.n, coalesce(e.position, a.position) AS position, e.occurred_at,
                   CASE WHEN e.position = ANY (fresh) AND row_number() OVER (PARTITION BY g.id ORDER BY g.n) = 1
                        THEN 'new'
                        WHEN e.position IS NULL
                        THEN 'archived'
                        WHEN e.type = g.type AND e.version = g.version
                             AND (e.payload = g.payload
                                  OR e.payload = events.without_keys(g.payload, events.secret_names(g.type)))
                             AND (e.occurred_at = g.occurred_at OR NOT g.time_given)
                        THEN 'same'
                        ELSE 'different' END AS outcome
            FROM jsonb_to_recordset(batch) AS g(n int, id uuid, type text, version text, payload jsonb,
                 occurred_at timestamptz, time_given boolean)
            LEFT JOIN events.events e ON e.id = g.id
            LEFT JOIN events.event_ids a ON a.id = g.id
            WHERE coalesce(e.position, a.position) IS NOT NULL
        ) AS c
        ORDER BY c.n;
END
$$;
"""

PUBLISH_EVENT = """
-- The door for every other language: SELECT events.publish_event('user.followed_user', '{...}').
-- Returns the event's id. What it cannot check here is checked when the event is processed.
CREATE OR REPLACE FUNCTION events.publish_event(
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
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    event uuid        := coalesce(id,{{new_id}});
    at    timestamptz := coalesce(occurred_at, clock_timestamp());
    found text;
BEGIN
    metadata := coalesce(metadata, '{}');
    IF jsonb_typeof(metadata) = 'null' THEN  -- append_events would take it for none
        RAISE EXCEPTION 'publish_event: metadata must be a JSON object' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT a.outcome INTO found FROM events.append_events(jsonb_build_array(jsonb_build_object(
        'n', 1, 'id', event, 'type', type, 'version', version, 'payload', payload, 'metadata', metadata,
        'aggregate_type', aggregate_type, 'aggregate_id', aggregate_id,
        'correlation_id', correlation_id, 'causation_id', causation_id,
        'occurred_at', at, 'time_given', occurred_at IS NOT NULL)), notify) a;
    IF found = 'different' THEN
        RAISE EXCEPTION 'publish_event: event % is in the log already, with other content', event
            USING ERRCODE = 'unique_violation';
    END IF;
    RETURN event;
END
$$;
"""

# Who may insert into the log may publish in these ways too. All others may not any more: functions are
# everybody's by default, and these act as their owner.
RIGHTS = """
REVOKE EXECUTE ON FUNCTION events.insert_events, events.append_events, events.publish_event FROM PUBLIC;
DO $$
DECLARE
    given record;
BEGIN
    FOR given IN
        SELECT DISTINCT coalesce(quote_ident(r.rolname), 'PUBLIC') AS role
        FROM pg_class c
        CROSS JOIN LATERAL (
            SELECT x.* FROM aclexplode(c.relacl) AS x
            UNION ALL
            SELECT x.* FROM pg_attribute col, aclexplode(col.attacl) AS x WHERE col.attrelid = c.oid
        ) AS a
        LEFT JOIN pg_roles r ON r.oid = a.grantee
        WHERE c.oid = 'events.events'::regclass AND a.privilege_type = 'INSERT' AND a.grantee <> c.relowner
    LOOP
        EXECUTE 'GRANT EXECUTE ON FUNCTION events.insert_events, events.append_events, events.publish_event TO '
                || given.role;
        EXECUTE 'GRANT SELECT ON SEQUENCE events.closer_look, events.relay_sleep TO ' || given.role;
        EXECUTE 'GRANT INSERT (id, type, version, aggregate_type, aggregate_id, payload, metadata, correlation_id,'
                ' causation_id, occurred_at), SELECT (position, id) ON events.publications TO ' || given.role;
    END LOOP;
END
$$;
"""

DOWN = """
DROP VIEW events.publications;
DROP FUNCTION events.append_events;
GRANT EXECUTE ON FUNCTION events.insert_events, events.publish_event TO PUBLIC;
"""

_IDS = import_module("fundlyhub.database.migrations.events.versions.0006_ids")


def upgrade() -> None:
    for part in (PUBLICATIONS, APPEND_EVENTS, PUBLISH_EVENT.replace("{{new_id}}", _IDS.ORDERED), RIGHTS):
        op.execute(part.replace(":", r"\:"))


def downgrade() -> None:
    _IDS.upgrade()
    op.execute(DOWN)
