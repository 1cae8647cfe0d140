"""The journal of erasures; and a duplicate of an erased event is a duplicate."""

from alembic import op

revision = "events_0014"
down_revision = "events_0013"

TABLES = """
CREATE TABLE events.erasures (
    id          uuid        PRIMARY KEY,
    hashes      text[]      NOT NULL,
    up_to       bigint      NOT NULL DEFAULT 0,
    who         text        NOT NULL,
    reason      text        NOT NULL,
    begun_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    account     text,
    role        text
);
CREATE TRIGGER erasures_account BEFORE INSERT ON events.erasures
    FOR EACH ROW EXECUTE FUNCTION events.stamp_account('account', 'role');
"""

# Of an event that was erased the words cannot be compared any more: type, version and time are. The rest of these
# functions stays as it is, whichever migration wrote it last.
SAME = "e.payload = g.payload"
SAME_OR_ERASED = r"(e.payload = g.payload OR e.metadata ? 'erased')"
REPLACE = """
DO $do$
DECLARE
    written text;
    changed int := 0;
BEGIN
    FOR written IN
        SELECT pg_get_functiondef(p.oid) FROM pg_proc p
        WHERE p.pronamespace = 'events'::regnamespace AND p.prokind = 'f' AND strpos(p.prosrc, $old${old}$old$) > 0
    LOOP
        EXECUTE replace(written, $old${old}$old$, $new${new}$new$);
        changed := changed + 1;
    END LOOP;
    IF changed = 0 THEN
        RAISE EXCEPTION 'no function of publishers compares payloads as it did';
    END IF;
END
$do$;
"""


def upgrade() -> None:
    for part in (TABLES, REPLACE.format(old=SAME, new=SAME_OR_ERASED)):
        op.get_bind().exec_driver_sql(part)


def downgrade() -> None:
    op.get_bind().exec_driver_sql(REPLACE.format(old=SAME_OR_ERASED, new=SAME))
    op.execute("DROP TABLE events.erasures")
