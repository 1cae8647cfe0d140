"""The snapshot cursor: reads each committed event of the log once, without stalling behind open transactions.

Positions become visible out of order, so a high-water mark loses events. A snapshot does not: ``seen`` says
which transactions were done with, so new is what it did not see. Such a row's xid is either at or above
``pg_snapshot_xmax(seen)`` or among ``pg_snapshot_xip(seen)``; both are index scans, and nothing else is read
again. Of those rows a window takes what ``target`` sees, in order of position; when it is empty,
``seen := target``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

from fundlyhub.database.rows import the_row
from fundlyhub.errors import Unavailable
from fundlyhub.events.log import LONGEST_TYPE, representable

NOTHING_SEEN = "3:3:"
"""The snapshot of a cursor that starts at the beginning of the log: 3 is the first xid there is."""

_SYSTEM = "SELECT system_identifier FROM pg_control_system()"
_CREATE = """
    INSERT INTO events.relay_cursors (name, system_identifier, seen)
    SELECT %(name)s, system_identifier, %(seen)s FROM pg_control_system()
    ON CONFLICT (name) DO NOTHING
"""
_READ = """
    SELECT system_identifier, epoch, seen::text, target::text, after FROM events.relay_cursors WHERE name = %(name)s
"""
_TAKE = "UPDATE events.relay_cursors SET epoch = epoch + 1 WHERE name = %(name)s RETURNING epoch"
_MOVE = """
    UPDATE events.relay_cursors
    SET seen = %(seen)s, target = %(target)s, after = %(after)s, moved_at = clock_timestamp()
    WHERE name = %(name)s AND epoch = %(epoch)s
"""

# Where the new rows begin, in each branch. OFFSET 0 keeps the planner from walking the primary key from its
# start in search of the first one: it read a million rows to find 21. An id that is yet to come is forged: it would
# open a window at each look, and be in none (relay/forged.py).
_FLOORS = """
    SELECT coalesce(%(target)s::pg_snapshot, pg_current_snapshot())::text,
        (SELECT min(position) FROM (SELECT position FROM events.events
         WHERE xid >= pg_snapshot_xmax(%(seen)s::pg_snapshot)
           AND xid < pg_snapshot_xmax(coalesce(%(target)s::pg_snapshot, pg_current_snapshot())) OFFSET 0) late),
        (SELECT min(position) FROM (SELECT position FROM events.events
         WHERE xid = ANY (ARRAY(SELECT pg_snapshot_xip(%(seen)s::pg_snapshot))) OFFSET 0) early)
"""

# The branch of the late rows is paged by the primary key: IS TRUE hides the condition from the xid index,
# which would sort the whole window for each page. It begins at its own floor, which is far above the other
# branch's when a long transaction has just ended. The early rows are few, and found by their xids: OFFSET 0 again.
_PAGE = f"""
    SELECT position, left(type, {LONGEST_TYPE + 1}), {representable("recorded_at")} FROM (
        (SELECT position, type, recorded_at FROM events.events
         WHERE position > greatest(%(after)s, %(late)s) AND (xid >= pg_snapshot_xmax(%(seen)s::pg_snapshot)) IS TRUE
           AND pg_visible_in_snapshot(xid, %(target)s::pg_snapshot)
         ORDER BY position LIMIT %(limit)s)
        UNION ALL
        (SELECT position, type, recorded_at FROM (
             SELECT position, type, recorded_at, xid FROM events.events
             WHERE xid = ANY (ARRAY(SELECT pg_snapshot_xip(%(seen)s::pg_snapshot))) OFFSET 0) early
         WHERE position > %(after)s AND pg_visible_in_snapshot(xid, %(target)s::pg_snapshot)
         ORDER BY position LIMIT %(limit)s)
    ) fresh ORDER BY position LIMIT %(limit)s
"""  # noqa: S608  # our own constants

NO_POSITION = 2**63 - 1

Row = tuple[int, str, Any]
"""Position, type and time of recording."""


class LostLeadership(Exception):
    """Another process has taken the cursor over."""


@dataclass(slots=True)
class Window:
    """The events between two snapshots; ``after`` is the last position that is done with.

    No row of the late branch is at or below ``late``.
    """

    target: str
    after: int
    late: int


class SnapshotCursor:
    """One reader of the log. Its place is a row of ``relay_cursors``; ``epoch`` guards it against a former owner.

    ``db`` is an autocommit connection to the Events DB.
    """

    def __init__(self, db: psycopg.Connection[Any], name: str, epoch: int, seen: str, window: Window | None) -> None:
        self.db, self.name, self.epoch, self.seen, self.window = db, name, epoch, seen, window

    @classmethod
    def take(cls, db: psycopg.Connection[Any], name: str) -> SnapshotCursor:
        """Load a cursor, made at the beginning of the log if need be, and become its owner.

        Raises Unavailable when the cursor belongs to another cluster, where its xids mean nothing.
        """
        db.execute(_CREATE, {"name": name, "seen": NOTHING_SEEN})
        (epoch,) = the_row(db.execute(_TAKE, {"name": name}))
        system, _, seen, target, after = the_row(db.execute(_READ, {"name": name}))
        (here,) = the_row(db.execute(_SYSTEM))
        if system != here:
            raise Unavailable(
                f"the cursor {name!r} belongs to another database cluster (was the log migrated?): run "
                "`fundlyhub relay rebase --floor POSITION`, or `--same-xids` after pg_upgrade"
            )
        cursor = cls(db, name, epoch, seen, None)
        if target and cursor.open(target) and cursor.window:
            cursor.window.after = max(after, cursor.window.after)
        return cursor

    def open(self, target: str | None = None) -> bool:
        """Open a window up to ``target`` (by default: now), unless one is open; tell whether rows may be in it."""
        if self.window is None:
            found, late, early = the_row(self.db.execute(_FLOORS, {"seen": self.seen, "target": target}))
            floors = [floor for floor in (late, early) if floor is not None]
            if floors:
                self.window = Window(found, after=min(floors) - 1, late=(late or NO_POSITION) - 1)
        return self.window is not None

    def page(self, limit: int) -> list[Row]:
        """The next rows of the open window, in order of position."""
        assert self.window is not None
        place = {"target": self.window.target, "after": self.window.after, "late": self.window.late}
        return self.db.execute(_PAGE, {"seen": self.seen, "limit": limit, **place}).fetchall()

    def move(self, after: int | None) -> None:
        """Note that everything up to ``after`` is done with, or, with None, that the window is.

        Raises LostLeadership when another process has taken the cursor over; then nothing is written.
        """
        assert self.window is not None
        place = {
            "seen": self.seen if after is not None else self.window.target,
            "target": self.window.target if after is not None else None,
            "after": after or 0,
        }
        if self.db.execute(_MOVE, {"name": self.name, "epoch": self.epoch, **place}).rowcount != 1:
            raise LostLeadership(self.name)
        if after is not None:
            self.window.after = after
        else:
            self.seen, self.window = self.window.target, None


def first_unseen(db: psycopg.Connection[Any], name: str) -> int | None:
    """The first position that a cursor is not done with; None when there is none, or no such cursor."""
    if (row := db.execute(_READ, {"name": name}).fetchone()) is None:
        return None
    _, late, early = the_row(db.execute(_FLOORS, {"seen": row[2], "target": None}))
    return min((floor for floor in (late, early) if floor is not None), default=None)
