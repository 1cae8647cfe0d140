"""The tables of rebuilds, in each database that has tables of processors: SQL for the migrations; and their end.

All that is known of a rebuild is in the database of its tables, so that it changes in the transaction that exchanges
them. Each rebuild has a schema of its own, made and dropped in the transaction that says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg

from fundlyhub.settings import Branch

_TABLES = """
CREATE TABLE {schema}.rebuilds (
    id              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    processor       text        NOT NULL,
    schema_name     text        NOT NULL UNIQUE,
    tables          text[]      NOT NULL,
    state           text        NOT NULL DEFAULT 'running',
    up_to           bigint      NOT NULL,
    rate            integer,
    next_at         timestamptz,
    followed        bigint      NOT NULL DEFAULT 0,
    swept_at        timestamptz,
    who             text        NOT NULL,
    account         text,
    role            text,
    started_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    filled_at       timestamptz,
    swapped_at      timestamptz,
    swapped_by      text,
    swapped_account text,
    swapped_role    text,
    ended_at        timestamptz,
    ended_by        text,
    ended_account   text,
    ended_role      text,
    CONSTRAINT rebuilds_state_check CHECK (state IN ('running', 'swapped', 'undone', 'dropped'))
);
CREATE UNIQUE INDEX rebuilds_running_idx ON {schema}.rebuilds (processor) WHERE state = 'running';
CREATE TRIGGER rebuilds_account BEFORE INSERT ON {schema}.rebuilds
    FOR EACH ROW EXECUTE FUNCTION {schema}.stamp_account('account', 'role');
CREATE TRIGGER rebuilds_swapped_account BEFORE UPDATE OF swapped_by ON {schema}.rebuilds
    FOR EACH ROW EXECUTE FUNCTION {schema}.stamp_account('swapped_account', 'swapped_role');
CREATE TRIGGER rebuilds_ended_account BEFORE UPDATE OF ended_by ON {schema}.rebuilds
    FOR EACH ROW EXECUTE FUNCTION {schema}.stamp_account('ended_account', 'ended_role');

CREATE TABLE {schema}.rebuild_ranges (
    rebuild_id bigint  NOT NULL,
    low        bigint  NOT NULL,
    high       bigint  NOT NULL,
    after      bigint  NOT NULL,
    claims     bigint  NOT NULL DEFAULT 0,
    done       boolean NOT NULL DEFAULT false,
    CONSTRAINT rebuild_ranges_pkey PRIMARY KEY (rebuild_id, low)
);

CREATE TABLE {schema}.rebuild_findings (
    rebuild_id bigint      NOT NULL,
    position   bigint      NOT NULL,
    event_id   uuid        NOT NULL,
    what       text        NOT NULL,
    found_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT rebuild_findings_pkey PRIMARY KEY (rebuild_id, position)
);
"""
# The role that erases owns no schema: this ends a rebuild, and drops the schema that the table names for it.
_ENDED = """
CREATE FUNCTION {schema}.end_rebuild(rebuild bigint, ender text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    gone text;
BEGIN
    PERFORM pg_advisory_xact_lock({lock}, rebuild::integer);
    UPDATE {schema}.rebuilds AS r SET state = 'dropped', ended_at = clock_timestamp(), ended_by = ender
    WHERE r.id = rebuild AND r.state <> 'dropped' RETURNING r.schema_name INTO gone;
    IF gone IS NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('DROP SCHEMA IF EXISTS %I CASCADE', gone);
    RETURN true;
END
$$;
REVOKE EXECUTE ON FUNCTION {schema}.end_rebuild FROM PUBLIC;
"""
_END = "DROP TABLE {schema}.rebuild_findings, {schema}.rebuild_ranges, {schema}.rebuilds"
# A rebuild that goes on without its schema would have no tables to drop: going back waits for its end.
_REFUSE = """
DO $$ BEGIN
    IF EXISTS (SELECT FROM {schema}.rebuilds WHERE state <> 'dropped') THEN
        RAISE 'there are rebuilds in {schema}: cancel or prune them first (fundlyhub rebuild list)';
    END IF;
END $$;
"""
LOCK_CLASS = 0x726264
"""Advisory locks of rebuilds, by their id: shared by what fills one, for itself alone by what exchanges or drops it."""
ENDING: tuple[str, ...] = ("running", "swapped", "undone")
"""The states in which a rebuild has a schema."""

_RUNNING = "SELECT processor FROM {schema}.rebuilds WHERE state = 'running' ORDER BY processor"
_KEPT = "SELECT id, schema_name FROM {schema}.rebuilds WHERE state <> 'dropped' ORDER BY id"
_DROPPED = """
    UPDATE {schema}.rebuilds SET state = 'dropped', ended_at = clock_timestamp(), ended_by = %s
    WHERE id = %s AND state = ANY (%s) RETURNING schema_name
"""


def running(db: psycopg.Connection[Any], branch: Branch) -> list[str]:
    """The processors whose tables in this database are being rebuilt now."""
    return [name for (name,) in db.execute(_RUNNING.format(schema=branch))]


def made(schema: str) -> str:
    """The statements that make the tables."""
    return _TABLES.format(schema=schema)


def unmade(schema: str) -> str:
    """The statements that drop them. They fail while there are rebuilds."""
    return _REFUSE.format(schema=schema) + _END.format(schema=schema)


def ended(schema: str) -> str:
    """The statements that make the function by which an erasure ends them."""
    return _ENDED.format(schema=schema, lock=LOCK_CLASS)


def drop(
    db: psycopg.Connection[Any], branch: Branch, rebuild: int, *, who: str, states: Iterable[str] = ENDING
) -> bool:
    """End a rebuild that is in one of these states, and drop its schema; whether there was one. One transaction.

    Whatever fills, exchanges or compares it ends first, and may leave it in another state, with other tables in its
    schema. Raises psycopg.errors.LockNotAvailable when that takes too long.
    """
    with db.transaction():
        db.execute("SELECT pg_advisory_xact_lock(%s, %s)", (LOCK_CLASS, rebuild))
        row = db.execute(_DROPPED.format(schema=branch), (who, rebuild, list(states))).fetchone()
        if row is not None:
            db.execute(f'DROP SCHEMA IF EXISTS "{row[0]}" CASCADE')
    return row is not None


def drop_all(db: psycopg.Connection[Any], branch: Branch, *, who: str) -> int:
    """End all rebuilds of a database, and drop the former tables that are kept; the number of schemas."""
    kept = db.execute(_KEPT.format(schema=branch)).fetchall()
    end = f"SELECT {branch}.end_rebuild(%s, %s)"  # our own name
    return sum(bool(row and row[0]) for id, _ in kept if (row := db.execute(end, (id, who)).fetchone()))
