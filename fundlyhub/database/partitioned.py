"""The table of claims in partitions by position, and their keeper's functions: SQL for the migrations."""

from __future__ import annotations

SIZE = 10_000_000
"""Positions in a partition that the migration makes; others may be of any size."""
REFUSES_DROPPED = "claims_dropped"
"""The constraint that a claim breaks if its range was dropped."""

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


# The keeper's role owns no table. These do for it what the owner may do, and nothing else: a partition of the claims is
# made where none is, or one that is there is dropped, and the range stays refused (docs/growth.md). Each names all that
# it touches with its schema, whatever the caller's search_path is.
_KEEPING = """
CREATE FUNCTION {schema}.make_claims_partition(low bigint, high bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    made text := format('{schema}.%I', 'processed_events_' || low);
BEGIN
    IF low < 0 OR high < low THEN
        RAISE EXCEPTION 'a partition of claims goes from a position to a later one';
    END IF;
    -- The default partition is locked before anything is written: what it holds of the range is moved with it, and
    -- nothing can be added to it meanwhile. Other partitions go on.
    LOCK TABLE ONLY {schema}.processed_events IN SHARE UPDATE EXCLUSIVE MODE;
    LOCK TABLE {schema}.processed_events_default IN ACCESS EXCLUSIVE MODE;
    EXECUTE format('CREATE TABLE %s (LIKE {schema}.processed_events INCLUDING ALL)', made);
    EXECUTE format('WITH moved AS (DELETE FROM {schema}.processed_events_default WHERE position BETWEEN %s AND %s'
                   ' RETURNING *) INSERT INTO %s SELECT * FROM moved', low, high, made);
    EXECUTE format('ALTER TABLE {schema}.processed_events ATTACH PARTITION %s FOR VALUES FROM (%s) TO (%s)',
                   made, low, high + 1);
END
$$;

-- Claims that come meanwhile are few, if any, and wait: what is counted is what is dropped.
CREATE FUNCTION {schema}.drop_claims_partition(part text, low bigint, high bigint, who text) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    gone text := format('{schema}.%I', part);
    counted jsonb;
    refused text;
BEGIN
    IF part = 'processed_events_default' OR NOT EXISTS (
        SELECT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = '{schema}.processed_events'::regclass AND c.relname = part
          AND pg_get_expr(c.relpartbound, c.oid) = ANY (ARRAY[
              format('FOR VALUES FROM (%L) TO (%L)', low::text, (high + 1)::text),
              format('FOR VALUES FROM (MINVALUE) TO (%L)', (high + 1)::text)]))
    THEN
        RAISE EXCEPTION 'there is no such partition of claims';
    END IF;
    EXECUTE format('LOCK TABLE %s IN SHARE MODE', gone);
    EXECUTE format('SELECT coalesce(jsonb_object_agg(processor, n), ''{{}}'') FROM ('
                   'SELECT processor, count(*) AS n FROM %s GROUP BY processor) claims', gone) INTO counted;
    INSERT INTO {schema}.dropped_claims (low, high, claims, who) VALUES (low, high, counted, who);
    -- Neighbours are one range, so that the constraint stays short.
    SELECT string_agg(format('position NOT BETWEEN %s AND %s', lower(one), upper(one) - 1), ' AND ' ORDER BY one)
    INTO refused
    FROM (SELECT unnest(range_agg(int8range(d.low, d.high, '[]'))) AS one FROM {schema}.dropped_claims d) ranges;
    LOCK TABLE ONLY {schema}.processed_events IN ACCESS EXCLUSIVE MODE;
    LOCK TABLE {schema}.processed_events_default IN ACCESS EXCLUSIVE MODE;
    EXECUTE format('ALTER TABLE {schema}.processed_events DETACH PARTITION %s', gone);
    EXECUTE format('DROP TABLE %s', gone);
    EXECUTE format('ALTER TABLE {schema}.processed_events_default DROP CONSTRAINT IF EXISTS {constraint},'
                   ' ADD CONSTRAINT {constraint} CHECK (%s)', refused);
    RETURN counted;
END
$$;
REVOKE ALL ON FUNCTION {schema}.make_claims_partition, {schema}.drop_claims_partition FROM PUBLIC;
"""
_KEPT = """
DROP FUNCTION {schema}.make_claims_partition, {schema}.drop_claims_partition;
"""


def keeping(schema: str) -> str:
    """The statements that make the functions of a schema's keeper."""
    statements = _KEEPING.format(schema=schema, constraint=REFUSES_DROPPED)
    return statements.replace("%", "%%")  # the driver looks for parameters


def without_keeping(schema: str) -> str:
    """The statements that drop them."""
    return _KEPT.format(schema=schema)
