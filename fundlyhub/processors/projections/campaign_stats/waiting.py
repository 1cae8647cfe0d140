"""Differences that wait to be added to the statistics, while former versions of these cannot be cleared away.

A transaction that is held open, such as a backup, keeps each former version of a row, and each update passes all of
them: behind it updates would become slower with each batch. Then a batch appends its differences here, which costs the
same whatever is held open, and they are added together about once a second; less often when that has become slow.

Added exactly once, since a row is deleted by the statement that adds it. Where that statement looks is told by the
snapshot of the one before: deleted rows cannot be cleared away either, and nobody must pass them again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine

from fundlyhub.processors.projections.campaign_stats import stats
from fundlyhub.processors.projections.campaign_stats.deltas import Delta, Key

PAUSE = 1.0
"""Seconds that differences wait, more or less; and for which a process remembers whether they have to."""
REST = 40
"""Times as long as adding took, nobody adds again: all workers together spend a fortieth of a core on it."""
LONGEST = 30.0
"""Seconds of such a rest at most: what took long may have been a lock."""
MOST_DEAD = 20_000
"""Former versions that are no matter yet, and of which each row must have twenty."""

_CROWDED = """
    SELECT pg_stat_get_dead_tuples(c) > greatest(%(most)s, 20 * pg_stat_get_live_tuples(c))
    FROM CAST('campaign_stats_projection' AS regclass) AS c
"""

_PUT = f"""
    INSERT INTO campaign_stats_waiting (campaign_id, currency, {stats.NUMBERS}) SELECT * FROM {stats.GIVEN}
"""  # noqa: S608 - put together from constants

# What the last snapshot did not see: the transactions after it, and those that were open. A database that was brought
# to another server counts its transactions from another number: then everything is looked at.
_BOUND = """
    bound AS (
        SELECT coalesce((
            SELECT seen FROM campaign_stats_added
            WHERE pg_snapshot_xmax(seen) <= pg_snapshot_xmax(pg_current_snapshot())
        ), '3:3:') AS seen
    )
"""
_NEW = "xid >= (SELECT pg_snapshot_xmax(seen) FROM bound)"
_OPEN_THEN = "xid = ANY (ARRAY(SELECT pg_snapshot_xip(seen) FROM bound))"
_HAS_SOME = f"""
    WITH {_BOUND}
    SELECT EXISTS (SELECT FROM campaign_stats_waiting WHERE {_NEW})
        OR EXISTS (SELECT FROM campaign_stats_waiting WHERE {_OPEN_THEN})
"""  # noqa: S608 - put together from constants

# One statement, so that what is deleted and what is called seen belong to one snapshot. Of two at once one waits at the
# first row that the other deletes, and has nothing left to add.
_ADD = f"""
    WITH {_BOUND}, new AS (
        DELETE FROM campaign_stats_waiting WHERE {_NEW} RETURNING campaign_id, currency, {stats.NUMBERS}
    ), late AS (
        DELETE FROM campaign_stats_waiting WHERE {_OPEN_THEN} RETURNING campaign_id, currency, {stats.NUMBERS}
    ), moved AS (
        INSERT INTO campaign_stats_added (seen) VALUES (pg_current_snapshot())
        ON CONFLICT (one) DO UPDATE SET seen = excluded.seen
    )
    INSERT INTO campaign_stats_projection AS stats (campaign_id, currency, {stats.NUMBERS})
    SELECT campaign_id, currency, max(largest_donation), min(first_donation_at), max(last_donation_at),
           sum(total_raised), sum(donation_count), sum(unique_donors), sum(refund_count), sum(total_refunded)
    FROM (TABLE new UNION ALL TABLE late) AS told
    GROUP BY campaign_id, currency ORDER BY campaign_id, currency
    {stats.MERGE}
"""  # noqa: S608 - put together from constants
# A time beyond the longest rest is that of a server whose clock was ahead.
_IS_DUE = f"""
    SELECT NOT EXISTS (
        SELECT FROM campaign_stats_added
        WHERE next_at > clock_timestamp() AND next_at <= clock_timestamp() + make_interval(secs => {LONGEST})
    )
"""  # noqa: S608 - put together from constants
_REST = """
    UPDATE campaign_stats_added SET next_at = clock_timestamp()
        + make_interval(secs => least(%(longest)s, greatest(%(pause)s, %(rest)s * %(took)s)))
"""
_LOCK_KEY = 0x66686373  # "fhcs"
_TRY_LOCK = f"SELECT pg_try_advisory_xact_lock({_LOCK_KEY}, hashtext(current_schema()))"

_remembered: WeakKeyDictionary[Engine, tuple[float, bool]] = WeakKeyDictionary()
_looked: WeakKeyDictionary[Engine, float] = WeakKeyDictionary()


def must_wait(db: Connection) -> bool:
    """Whether differences are to wait, as it was a moment ago."""
    now = time.monotonic()
    until, crowded = _remembered.get(db.engine, (0.0, False))
    if now >= until:
        crowded = bool(db.exec_driver_sql(_CROWDED, {"most": MOST_DEAD}).scalar_one())
        _remembered[db.engine] = now + PAUSE, crowded
    return crowded


def put(db: Connection, differences: Mapping[Key, Delta]) -> None:
    """Let these differences wait, in the caller's transaction."""
    db.exec_driver_sql(_PUT, stats.given(differences))


def add(db: Connection) -> None:
    """Add all that waits, in the caller's transaction; waits for a neighbour who is at it."""
    db.exec_driver_sql(_ADD)


def add_now_and_then(engine: Engine) -> None:
    """Add all that waits, if it is time for that and no neighbour is at it."""
    now = time.monotonic()
    if now - _looked.get(engine, 0.0) < PAUSE:
        return
    _looked[engine] = now
    if not has_some(engine):
        return
    with engine.begin() as db:
        if db.exec_driver_sql(_TRY_LOCK).scalar_one() and db.exec_driver_sql(_IS_DUE).scalar_one():
            began = time.monotonic()
            add(db)
            took = time.monotonic() - began
            db.exec_driver_sql(_REST, {"took": took, "pause": PAUSE, "rest": REST, "longest": LONGEST})


def has_some(engine: Engine) -> bool:
    """Whether any difference waits."""
    # A transaction would be rolled back, and psycopg forgets what is prepared with each rollback.
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        return bool(db.exec_driver_sql(_HAS_SOME).scalar_one())
