"""What an erasure changes in the log is changed by functions that take a person's words out and change nothing else.

So the role that erases may not write the log: `fundlyhub people erase` runs as `fundlyhub_eraser`, which cannot change
an amount, a time, or whose something is. `fundlyhub migrate --roles` writes down which keys are facts.
"""

from alembic import op

revision = "events_0022"
down_revision = "events_0021"
branch_labels = None
depends_on = None

FACTS = """
-- The keys of each payload class that are no person's words, as dotted paths: 'amount', 'changes.goal_amount',
-- 'results[].id'. The version '' is the newest, which stands for those that no class has.
CREATE TABLE events.fact_keys (
    type    text   COLLATE "C" NOT NULL,
    version text   COLLATE "C" NOT NULL,
    keys    text[] NOT NULL,
    CONSTRAINT fact_keys_pkey PRIMARY KEY (type, version)
);
"""

ONLY_ERASED = """
-- Whether the new value is the old one without words: keys that are no facts have gone, or have one of the values that
-- stand for what was erased. Without facts (a type that no class has) nothing goes. With words, whatever is a text and
-- neither an id, a number nor a time may be overwritten; so may what is deeper than any event.
CREATE FUNCTION events.only_erased(
    old jsonb, new jsonb, path text, facts text[], words boolean, depth integer DEFAULT 0
) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    was   text := jsonb_typeof(old);
    now   text := jsonb_typeof(new);
    holds boolean;
    one   record;
BEGIN
    IF old = new THEN
        RETURN true;
    ELSIF depth = 0 AND (was <> 'object' OR now <> 'object') THEN
        RETURN false;
    END IF;
    holds := facts IS NULL OR EXISTS (
        SELECT FROM unnest(facts) AS fact
        WHERE fact = path OR starts_with(fact, path || '.') OR starts_with(fact, path || '[]')
           OR starts_with(path, fact || '.') OR starts_with(path, fact || '[]'));
    IF was = 'object' AND now = 'object' AND depth < 100 THEN
        FOR one IN
            -- A key with a dot is none of ours, and must not look like the path of one.
            SELECT key, b.value AS before, a.value AS after,
                   CASE WHEN depth = 0 THEN '' ELSE path || '.' END || translate(key, '.[', '  ') AS inside
            FROM jsonb_each(old) AS b FULL JOIN jsonb_each(new) AS a USING (key)
        LOOP
            IF one.before IS NULL THEN
                RETURN false;
            ELSIF one.after IS NULL THEN
                IF facts IS NULL OR EXISTS (
                    SELECT FROM unnest(facts) AS fact
                    WHERE fact = one.inside OR starts_with(fact, one.inside || '.')
                       OR starts_with(fact, one.inside || '[]') OR starts_with(one.inside, fact || '.')
                       OR starts_with(one.inside, fact || '[]'))
                THEN
                    RETURN false;
                END IF;
            ELSIF NOT events.only_erased(one.before, one.after, one.inside, facts, words, depth + 1) THEN
                RETURN false;
            END IF;
        END LOOP;
        RETURN true;
    ELSIF was = 'array' AND now = 'array' AND depth < 100 THEN
        IF jsonb_array_length(old) = jsonb_array_length(new) THEN
            RETURN NOT EXISTS (
                SELECT FROM jsonb_array_elements(old) WITH ORDINALITY AS b(value, n)
                JOIN jsonb_array_elements(new) WITH ORDINALITY AS a(value, n) USING (n)
                WHERE NOT events.only_erased(b.value, a.value, path || '[]', facts, words, depth + 1));
        END IF;
        RETURN NOT holds AND NOT EXISTS (
            SELECT FROM jsonb_array_elements(new) AS a(value)
            WHERE NOT EXISTS (SELECT FROM jsonb_array_elements(old) AS b(value) WHERE b.value = a.value));
    END IF;
    RETURN (words AND new = '"erased"' AND (
                (was = 'string' AND NOT old #>> '{}' ~ '^(?:[A-Z]{3}|[0-9.,:TZ+-]*|{uuid})$')
                OR (depth >= 100 AND was IN ('object', 'array'))))
        OR (NOT holds AND new IN ('""', '"erased"', '"erased@erased.test"', '"https://erased.invalid/"', '[]', '{}'));
END
$$;
""".replace("{uuid}", "[0-9a-fA-F]{8}(?:-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")

REDACT = """
-- Raises an error unless the new payload is the old one without words of people.
CREATE FUNCTION events.check_erased(of_type text, of_version text, old jsonb, new jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    canonical text := '';
    facts     text[];
    deep      boolean := old @? 'strict $.**{101}';
BEGIN
    IF of_version ~ '^[0-9]{1,6}([.][0-9]{1,6}){1,2}$' THEN
        SELECT string_agg(part::integer::text, '.' ORDER BY n) INTO canonical
        FROM unnest((string_to_array(of_version, '.') || '{0}')[1:3]) WITH ORDINALITY AS parts(part, n);
    END IF;
    SELECT keys INTO facts FROM events.fact_keys
    WHERE type = of_type AND version IN (canonical, '') ORDER BY version DESC LIMIT 1;
    IF NOT events.only_erased(old, new, '', facts, facts IS NULL OR deep) THEN
        RAISE EXCEPTION 'only words of people may be erased from an event of this type (%%)', left(of_type, 100)
            USING ERRCODE = 'insufficient_privilege',
                  HINT = 'If the release is newer than the roles, run fundlyhub migrate --roles again.';
    END IF;
END
$$;

-- The second permitted update of the log. Of the metadata our own keys stay, and the erased fields are added.
CREATE FUNCTION events.redact(at bigint, event uuid, less jsonb, about jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    was record;
BEGIN
    SELECT e.type, e.version, e.payload, e.metadata INTO was FROM events.events AS e
    WHERE e.position = at AND e.id = event FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM events.check_erased(was.type, was.version, was.payload, less);
    IF jsonb_typeof(about) <> 'object' OR jsonb_typeof(coalesce(about -> 'erased', '[]')) <> 'array'
        OR NOT coalesce(about -> 'erased', '[]') @> coalesce(was.metadata -> 'erased', '[]')
        OR EXISTS (SELECT FROM jsonb_each(about - 'erased') AS a
                   WHERE was.metadata -> a.key IS DISTINCT FROM a.value)
        OR EXISTS (SELECT FROM jsonb_each(was.metadata) AS b
                   WHERE b.key IN ('imported', 'traceparent', 'tracestate') AND NOT about ? b.key)
    THEN
        RAISE EXCEPTION 'only words of people may be erased from metadata' USING ERRCODE = 'insufficient_privilege';
    END IF;
    UPDATE events.events AS e SET payload = less, metadata = about WHERE e.position = at AND e.id = event;
END
$$;

-- The same for what a correction of a dead letter says.
CREATE FUNCTION events.redact_correction(of_processor text, at bigint, less jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    was record;
BEGIN
    SELECT e.type, c.version, c.payload INTO was
    FROM events.corrections AS c JOIN events.events AS e USING (position)
    WHERE c.processor = of_processor AND c.position = at FOR UPDATE OF c;
    IF FOUND THEN
        PERFORM events.check_erased(was.type, was.version, was.payload, less);
        UPDATE events.corrections AS c SET payload = less WHERE c.processor = of_processor AND c.position = at;
    END IF;
END
$$;

-- An archive that was written anew: beside the former file, under the same name with the next number.
CREATE FUNCTION events.rename_archive(former text, before text, renamed text, digest text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF regexp_replace(former, '([.][0-9]+)?[.]jsonl[.]gz$', '')
            <> regexp_replace(renamed, '[.][0-9]+[.]jsonl[.]gz$', '')
        OR digest !~ '^[0-9a-f]{64}$'
    THEN
        RAISE EXCEPTION 'an archive that is written anew stays beside the former one'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    UPDATE events.archives AS a SET file = renamed, sha256 = digest WHERE a.file = former AND a.sha256 = before;
END
$$;

REVOKE EXECUTE ON FUNCTION events.only_erased, events.check_erased, events.redact, events.redact_correction,
    events.rename_archive FROM PUBLIC;
"""


def upgrade() -> None:
    bind = op.get_bind()
    for statements in (FACTS, ONLY_ERASED, REDACT):
        bind.exec_driver_sql(statements)


def downgrade() -> None:
    op.execute("DROP FUNCTION events.rename_archive, events.redact_correction, events.redact, events.check_erased")
    op.execute("DROP FUNCTION events.only_erased")
    op.execute("DROP TABLE events.fact_keys")
