"""Partitions the table of claims by position, and joins it again: SQL for the migrations of all databases."""

from __future__ import annotations

SIZE = 10_000_000
"""Positions in a partition that the migration makes; others may be of any size."""

# What is there becomes the first partition as it is: no row is copied, and its index is kept. Attaching it reads it
# once, to see that all rows belong there. What others may do with the table they may do with the new one.
PARTITION = """
DO $$
DECLARE
    bound bigint;
    given record;
BEGIN
    LOCK TABLE {schema}.processed_events IN ACCESS EXCLUSIVE MODE;
    SELECT (coalesce(max(position), 0) / {size} + 1) * {size} INTO bound FROM {schema}.processed_events;
    ALTER TABLE {schema}.processed_events RENAME TO processed_events_0;
    ALTER TABLE {schema}.processed_events_0 RENAME CONSTRAINT processed_events_pkey TO processed_events_0_pkey;
    CREATE TABLE {schema}.processed_events (
        processor    text        NOT NULL,
        position     bigint      NOT NULL,
        event_id     uuid        NOT NULL,
        processed_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (processor, position)
    ) PARTITION BY RANGE (position);
    EXECUTE 'ALTER TABLE {schema}.processed_events ATTACH PARTITION {schema}.processed_events_0'
            ' FOR VALUES FROM (MINVALUE) TO (' || bound || ')';
    CREATE TABLE {schema}.processed_events_default PARTITION OF {schema}.processed_events DEFAULT;
    FOR given IN
        SELECT a.privilege_type AS right, coalesce(quote_ident(r.rolname), 'PUBLIC') AS role
        FROM pg_class c CROSS JOIN aclexplode(c.relacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
        WHERE c.oid = '{schema}.processed_events_0'::regclass AND a.grantee <> c.relowner
    LOOP
        EXECUTE 'GRANT ' || given.right || ' ON {schema}.processed_events TO ' || given.role;
    END LOOP;
END
$$;

CREATE TABLE {schema}.dropped_claims (
    low        bigint      PRIMARY KEY,
    high       bigint      NOT NULL,
    claims     jsonb       NOT NULL,
    who        text        NOT NULL,
    dropped_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
"""

# A copy, in one piece. Where claims have been dropped there is no way back: nothing would refuse their events any more.
JOIN = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM {schema}.dropped_claims) THEN
        RAISE EXCEPTION 'claims of {schema} have been dropped: a table in one piece could not refuse their events';
    END IF;
END
$$;
DROP TABLE {schema}.dropped_claims;
CREATE TABLE {schema}.processed_events_joined (LIKE {schema}.processed_events INCLUDING DEFAULTS);
LOCK TABLE {schema}.processed_events IN ACCESS EXCLUSIVE MODE;
INSERT INTO {schema}.processed_events_joined SELECT * FROM {schema}.processed_events;
DROP TABLE {schema}.processed_events;
ALTER TABLE {schema}.processed_events_joined RENAME TO processed_events;
ALTER TABLE {schema}.processed_events ADD CONSTRAINT processed_events_pkey PRIMARY KEY (processor, position);
"""


def partition(schema: str) -> str:
    """The statements that partition a schema's claims."""
    return PARTITION.format(schema=schema, size=SIZE)


def join(schema: str) -> str:
    """The statements that put them together again. They fail when claims have been dropped."""
    return JOIN.format(schema=schema)
