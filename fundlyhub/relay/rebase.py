"""`fundlyhub relay rebase`: the cursors' new start after the log has moved to another database cluster.

Transaction ids mean nothing outside the cluster that gave them out. After a logical migration the rows of
the log carry foreign ones, so they are given the frozen id 3 up to a floor, which every snapshot sees, and
the id of this transaction above it, so that they are handed over again. This is one of the two permitted updates of
the log. After pg_upgrade the ids are the same, and only the cluster's identifier is new.
"""

from __future__ import annotations

from typing import Any

import psycopg

from fundlyhub.errors import Unavailable, WrongUse
from fundlyhub.relay.leader import try_to_lead
from fundlyhub.retention import log_marks

_RESTAMP = """
    UPDATE events.relay_cursors SET epoch = epoch + 1,
        system_identifier = (SELECT system_identifier FROM pg_control_system())
"""
_SNAPSHOT = "SELECT pg_current_snapshot()::text"
_FREEZE = """
    UPDATE events.events SET xid = CASE WHEN position <= %(floor)s THEN '3'::xid8 ELSE pg_current_xact_id() END
"""
_MOVE = "UPDATE events.relay_cursors SET seen = %(seen)s, target = NULL, after = 0, moved_at = clock_timestamp()"


def rebase(db: psycopg.Connection[Any], *, floor: int | None, same_xids: bool = False, settled: int = 0) -> int:
    """Tie the cursors to this cluster; the number of events that will be handed over again.

    ``floor`` is the last position that is surely settled: everything above it is relayed once more, and the
    claims skip what was applied, so that 0 is always right and only costs time. The sweep looks at everything
    above the floor too. Where claims have been dropped nothing would be skipped: ``settled`` is the last such position.

    Raises Unavailable when a relay is running: stop it first; WrongUse when the floor is below ``settled``.
    """
    if floor is not None and floor < settled:
        raise WrongUse(f"claims up to position {settled} have been dropped: the floor must be at least {settled}")
    if not try_to_lead(db, "main"):
        raise Unavailable("a relay is running: stop all relays, then run `fundlyhub relay rebase` again")
    with db.transaction():
        if same_xids:
            db.execute(_RESTAMP)
            return 0
        # No writer may be under way: its row would get a place on neither side of the new snapshot.
        db.execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '60s'")
        db.execute("LOCK TABLE events.events IN SHARE ROW EXCLUSIVE MODE")
        # Taken before this transaction has an id: rows above the floor are not seen by it.
        (seen,) = db.execute(_SNAPSHOT).fetchone() or ("",)
        db.execute(_FREEZE, {"floor": floor})
        db.execute(_RESTAMP)
        db.execute(_MOVE, {"seen": seen})
        log_marks.restamp(db)
        above = db.execute("SELECT count(*) FROM events.events WHERE position > %s", (floor,)).fetchone()
    return int(above[0]) if above else 0
