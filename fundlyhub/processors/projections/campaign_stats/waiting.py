"""Waiting differences: they are added to the statistics later while vacuum cannot remove dead row versions.

A transaction that is held open, such as a backup, keeps all dead versions of a row. Each update has to pass them, so
updates become slower with each batch. Then batches append their differences here, at constant cost, and the differences
are added together about once a second, or less often when that has become slow.

Each is added exactly once, since the statement that adds a row also deletes it. The snapshot of the previous addition
says where to look, so that dead rows here are not passed again.
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
"""The rest after an addition, as a multiple of its time: all workers together spend a fortieth of a core on it."""
LONGEST = 30.0
"""The longest rest in seconds, since a slow addition may have waited for a lock."""
MOST_DEAD = 20_000
"""Former versions that are no matter yet, and of which each row must have twenty."""

_CROWDED = """
    SELECT pg_stat_get_dead_tuples(c) > greatest(%(most)s, 20 * pg_stat_get_live_tuples(c))
    FROM CAST('campaign_stats_projection' AS regclass) AS c
"""

_PUT = f"""
    INSERT INTO campaign_stats_waiting ({stats.DIFFERENCES}) SELECT * FROM {stats.DIFFERENCES.given}
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
        DELETE FROM campaign_stats_waiting WHERE {_NEW} RETURNING {stats.DIFFERENCES}
    ), late AS (
        DELETE FROM campaign_stats_waiting WHERE {_OPEN_THEN} RETURNING {stats.DIFFERENCES}
    ), moved AS (
        INSERT INTO campaign_stats_added (seen) VALUES (pg_current_snapshot())
        ON CONFLICT (one) DO UPDATE SET seen = excluded.seen
    )
    INSERT INTO campaign_stats_projection AS stats ({stats.DIFFERENCES})
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
    """Whether differences have to wait; the answer may be a second old."""
    now = time.monotonic()
    until, crowded = _remembered.get(db.engine, (0.0, False))
    if now >= until:
        crowded = bool(db.exec_driver_sql(_CROWDED, {"most": MOST_DEAD}).scalar_one())
        _remembered[db.engine] = now + PAUSE, crowded
    return crowded


def put(db: Connection, differences: Mapping[Key, Delta]) -> None:
    """Let these differences wait, in the caller's transaction."""
    db.exec_driver_sql(_PUT, stats.bound(differences))


def add(db: Connection) -> None:
    """Add all waiting differences, in the caller's transaction; waits for a worker that is adding them."""
    db.exec_driver_sql(_ADD)


def add_now_and_then(engine: Engine) -> None:
    """Add all waiting differences, if they are due and no other worker is adding them."""
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
