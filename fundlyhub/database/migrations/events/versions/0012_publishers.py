"""What publishing looks at: which types a role may publish, and checks of an event, with secrets removed."""

from collections.abc import Iterable

from alembic import op

from fundlyhub.secret_keys import ALL_NAMES, PLAIN_SESSIONS, SESSION_NAMES

revision = "events_0012"
down_revision = "events_0011"

MOST_BYTES = 384 * 1024
"""Of an event as PostgreSQL writes it: with a space behind each comma and colon 256 KB become 384 KB at most."""
MOST_DEPTH = 32
"""As in ``fundlyhub.events.rules``."""

TABLES = """
-- The types that a publisher's role may publish; a role that is not named there may publish all.
CREATE TABLE events.publisher_types (
    publisher  text        NOT NULL,
    type       text        NOT NULL,
    who        text        NOT NULL,
    allowed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    account    text,
    role       text,
    PRIMARY KEY (publisher, type)
);
CREATE TRIGGER publisher_types_account BEFORE INSERT ON events.publisher_types
    FOR EACH ROW EXECUTE FUNCTION events.stamp_account('account', 'role');

-- Null until a role is limited or an id is archived: until then publishing looks into neither table, which would cost
-- each event an eighth of its time. A sequence is seen at every isolation level, and before what it tells of.
CREATE SEQUENCE events.closer_look;
CREATE FUNCTION events.look_closer() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF pg_sequence_last_value('events.closer_look') IS NULL THEN
        PERFORM setval('events.closer_look', 1);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER look_closer AFTER INSERT ON events.publisher_types FOR EACH ROW EXECUTE FUNCTION events.look_closer();
CREATE TRIGGER look_closer AFTER INSERT ON events.event_ids FOR EACH ROW EXECUTE FUNCTION events.look_closer();
-- In a logical copy too, which has no copy of the sequence.
ALTER TABLE events.publisher_types ENABLE ALWAYS TRIGGER look_closer;
ALTER TABLE events.event_ids ENABLE ALWAYS TRIGGER look_closer;
SELECT setval('events.closer_look', 1) FROM events.event_ids LIMIT 1;
"""

# Every function here has a fixed search_path, in which nothing of the caller's comes before PostgreSQL's own, and no
# backslash in its text: with standard_conforming_strings off, which is the caller's to choose, it would mean nothing.
SECRETS = """
CREATE FUNCTION events.secret_names(type text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN type = ANY ('{{plain}}'::text[]) THEN '{{without_sessions}}'::text[] ELSE '{{all}}'::text[] END;

-- A JSON value without these keys, at any depth. Only values whose depth is limited may be given.
CREATE FUNCTION events.without_keys(value jsonb, names text[]) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE jsonb_typeof(value)
        WHEN 'object' THEN (
            SELECT coalesce(jsonb_object_agg(e.key, CASE WHEN jsonb_typeof(e.value) IN ('object', 'array')
                                                    THEN events.without_keys(e.value, names) ELSE e.value END), '{}')
            FROM jsonb_each(value - names) AS e)
        WHEN 'array' THEN (
            SELECT coalesce(jsonb_agg(CASE WHEN jsonb_typeof(e.value) IN ('object', 'array')
                                      THEN events.without_keys(e.value, names) ELSE e.value END
                                      ORDER BY e.ordinality), '[]')
            FROM jsonb_array_elements(value) WITH ORDINALITY AS e)
        ELSE value END;
END
$$;
"""

CHECKS = """
-- Whether an event surely keeps the rules, and hides no secret. It is written out where it is called: no function is.
CREATE FUNCTION events.is_plain(
    type text, version text, aggregate_type text, aggregate_id text, payload jsonb, metadata jsonb,
    occurred_at timestamptz
) RETURNS boolean
LANGUAGE sql STABLE
RETURN type ~ '^[a-z][a-z0-9_]*([.][a-z][a-z0-9_]*){1,3}$' AND octet_length(type) <= 200
   AND (version IN ('1.0.0', '2.0.0') OR version ~ '^[0-9]{1,6}([.][0-9]{1,6}){1,2}$')
   AND octet_length(payload::text) <= {{bytes}} - 5000
   AND coalesce(octet_length(aggregate_type), 0) + coalesce(octet_length(aggregate_id), 0) <= 1000
   AND jsonb_typeof(payload) = 'object' AND NOT payload @? '$.**{2}' AND NOT payload ?| '{{all}}'
   AND (metadata = '{}' OR octet_length(metadata::text) <= 4000
        AND jsonb_typeof(metadata) = 'object' AND NOT metadata @? '$.**{2}' AND NOT metadata ?| '{{all}}')
   AND isfinite(occurred_at);

-- For all others: the payload without secrets, or an error that names the rule, and no value.
CREATE FUNCTION events.checked_payload(
    type text, version text, aggregate_type text, aggregate_id text, payload jsonb, metadata jsonb,
    occurred_at timestamptz
) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF type IS NULL OR type !~ '^[a-z][a-z0-9_]*([.][a-z][a-z0-9_]*){1,3}$' OR length(type) > 200 THEN
        RAISE EXCEPTION 'publish_event: type must be two to four dotted lower-case words'
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF version IS NULL OR version !~ '^[0-9]{1,6}([.][0-9]{1,6}){1,2}$' THEN
        RAISE EXCEPTION 'publish_event: version must be two or three numbers, such as 1.0.0'
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF payload IS NULL OR jsonb_typeof(payload) <> 'object' THEN
        RAISE EXCEPTION 'publish_event: payload must be a JSON object' USING ERRCODE = 'invalid_parameter_value';
    ELSIF metadata IS NULL OR jsonb_typeof(metadata) <> 'object' THEN
        RAISE EXCEPTION 'publish_event: metadata must be a JSON object' USING ERRCODE = 'invalid_parameter_value';
    ELSIF occurred_at IS NULL OR NOT isfinite(occurred_at) THEN
        RAISE EXCEPTION 'publish_event: occurred_at must be finite' USING ERRCODE = 'invalid_parameter_value';
    ELSIF pg_column_size(payload) > {{binary}} OR pg_column_size(metadata) > {{binary}}
          OR octet_length(concat(payload, metadata, aggregate_type, aggregate_id)) > {{bytes}} THEN
        RAISE EXCEPTION 'publish_event: payload and metadata must have at most {{bytes}} bytes'
            USING ERRCODE = 'program_limit_exceeded';
    ELSIF jsonb_build_array(payload, metadata)
          @? 'strict $.**{{{deeper}}} ? (@.type() == "object" || @.type() == "array")' THEN
        RAISE EXCEPTION 'publish_event: payload and metadata must not be nested deeper than {{depth}} levels'
            USING ERRCODE = 'program_limit_exceeded';
    END IF;
    RETURN events.without_keys(payload, events.secret_names(type));
END
$$;

-- Refuses the first of some types that the role may not publish. The role is the one that has logged in: SET ROLE
-- changes nothing.
CREATE FUNCTION events.check_types(types text[]) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM events.publisher_types p WHERE p.publisher = session_user)
       AND EXISTS (SELECT FROM unnest(types) AS given(type) WHERE NOT EXISTS (
           SELECT FROM events.publisher_types p WHERE p.publisher = session_user AND p.type = given.type))
    THEN
        RAISE EXCEPTION 'publish_event: type is not among those that this role may publish'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
END
$$;
"""

DOWN = """
DROP FUNCTION events.check_types, events.checked_payload, events.is_plain, events.without_keys, events.secret_names;
DROP TRIGGER look_closer ON events.event_ids;
DROP TABLE events.publisher_types;
DROP FUNCTION events.look_closer;
DROP SEQUENCE events.closer_look;
"""


def _array(names: Iterable[str]) -> str:
    return f"{{{','.join(sorted(names))}}}"


VALUES = {
    "plain": _array(PLAIN_SESSIONS),
    "without_sessions": _array(ALL_NAMES - SESSION_NAMES),
    "all": _array(ALL_NAMES),
    "bytes": str(MOST_BYTES),
    "binary": str(4 * MOST_BYTES),
    "depth": str(MOST_DEPTH),
    "deeper": str(MOST_DEPTH + 1),
}


def upgrade() -> None:
    for part in (TABLES, SECRETS, CHECKS):
        for name, value in VALUES.items():
            part = part.replace(f"{{{{{name}}}}}", value)
        op.execute(part.replace(":", r"\:"))


def downgrade() -> None:
    op.execute(DOWN)
