"""Waits until every transaction has ended that may see the database as it was before.

The ids of events that are to go are committed first, and the rows go after this wait. So a publisher sees the id
or the row, at every isolation level, and no publisher is blocked meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import psycopg

POLL = 0.1
"""Seconds between two looks."""

_NOW = "SELECT pg_current_xact_id()::text"
# A snapshot that is older than this moment has an xmin at or below its transaction id. Processes that clean up or
# copy the log publish nothing. Each transaction is known by its virtual id, which every role may see; what kind of
# process another role's is, only a superuser sees, and the others wait for all of them.
_OLDER = """
    SELECT l.virtualxid FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid AND l.locktype = 'virtualxid'
        AND l.virtualtransaction = l.virtualxid AND l.granted
    WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
      AND coalesce(a.backend_type, '') NOT IN ('autovacuum worker', 'walsender')
      AND greatest(age(a.backend_xmin), age(a.backend_xid)) >= age(%(now)s::xid8::xid)
"""
_LEFT = """
    SELECT count(*) FROM pg_locks
    WHERE locktype = 'virtualxid' AND virtualtransaction = virtualxid AND granted AND virtualxid = ANY (%(older)s)
"""


def wait_for_older(db: psycopg.Connection[Any], waiting: Callable[[int], None]) -> None:
    """Return when every transaction that had begun to look before now has ended.

    ``db`` is an autocommit connection. ``waiting`` is told how many are left, and raises to give up.
    """
    (now,) = db.execute(_NOW).fetchone() or ("0",)
    older = [virtual for (virtual,) in db.execute(_OLDER, {"now": now})]
    while left := _count(db, older):
        waiting(left)
        time.sleep(POLL)


def _count(db: psycopg.Connection[Any], older: list[str]) -> int:
    (left,) = db.execute(_LEFT, {"older": older}).fetchone() or (0,)
    return int(left)
