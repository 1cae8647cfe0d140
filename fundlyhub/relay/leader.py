"""Leader election by a session-level advisory lock, which a dead leader frees at once."""

from __future__ import annotations

from typing import Any

import psycopg

CHANNEL = "fundlyhub_relay"
_CLASS = 0x666C79  # the lock's first key, "fly"; the second is made of the relay's name

_LOCK = "SELECT pg_try_advisory_lock(%s, hashtext(%s))"
_HOLDER = """
    SELECT l.pid, a.client_addr::text, a.backend_start
    FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE l.locktype = 'advisory' AND l.classid = %s AND l.objid = hashtext(%s)::oid AND l.objsubid = 2 AND l.granted
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def try_to_lead(db: psycopg.Connection[Any], name: str) -> bool:
    """Take the leader's lock if it is free. It is held until ``db`` is closed or lost."""
    row = db.execute(_LOCK, (_CLASS, name)).fetchone()
    return bool(row and row[0])


def leader(db: psycopg.Connection[Any], name: str) -> dict[str, Any] | None:
    """The leader: the server process of its session, its address and its start; None if there is none.

    Address and start are None for a role that may not see them: for another than the leader's.
    """
    row = db.execute(_HOLDER, (_CLASS, name)).fetchone()
    if row is None:
        return None
    return {"server_pid": row[0], "address": row[1], "since": row[2].isoformat() if row[2] else None}


class Wake:
    """Sleep and wake-up of the relay: it notes in a sequence that it sleeps, and publishers notify only then."""

    def __init__(self, db: psycopg.Connection[Any]) -> None:
        self._db = db
        self.asleep = False
        db.execute(f"LISTEN {CHANNEL}")

    def sleep(self) -> None:
        """Ask for notifications. Look at the log once more before you wait."""
        self._db.execute("SELECT setval('events.relay_sleep', 2)")
        self.asleep = True

    def wait(self, seconds: float) -> bool:
        """Wait for a notification, at most so long; tell whether one came. All that have come by then are one.

        Any role may notify, as often as it likes: that is one look into the log, and no more memory.
        """
        came = any(True for _ in self._db.notifies(timeout=seconds, stop_after=1))
        for _ in self._db.notifies(timeout=0):
            pass
        return came

    def rise(self) -> None:
        """End the need for notifications: a notification in each transaction serialises their commits."""
        if self.asleep:
            self._db.execute("SELECT setval('events.relay_sleep', 1)")
            self.asleep = False
