"""How far the relay is: what `fundlyhub relay status` shows."""

from __future__ import annotations

from typing import Any

import psycopg

from fundlyhub.database.rows import the_row
from fundlyhub.events.log import head
from fundlyhub.relay.cursor import NOTHING_SEEN
from fundlyhub.relay.leader import leader

_CURSOR = """
    SELECT epoch, seen::text, target::text, after, moved_at FROM events.relay_cursors WHERE name = 'main'
"""
# What a snapshot did not see, by the two branches of the cursor; ids that are yet to come are forged.
_BEYOND = """
    SELECT position, type, recorded_at, xid FROM events.events
    WHERE xid >= pg_snapshot_xmax(%(seen)s::pg_snapshot) AND xid < pg_snapshot_xmax(pg_current_snapshot())
    UNION ALL
    SELECT position, type, recorded_at, xid FROM events.events
    WHERE xid = ANY (ARRAY(SELECT pg_snapshot_xip(%(seen)s::pg_snapshot)))
"""
_LAG = """
    SELECT count(*), extract(epoch FROM clock_timestamp() - min(recorded_at))::float8
    FROM (BEYOND) b
    WHERE position > %(after)s OR NOT pg_visible_in_snapshot(xid, %(target)s::pg_snapshot)
""".replace("BEYOND", _BEYOND)
_UNROUTED = "SELECT type, events, last_position FROM events.unrouted ORDER BY events DESC, type"


def relay_lag(db: psycopg.Connection[Any]) -> dict[str, Any]:
    """Events that are committed and not yet relayed, and the age of the oldest in seconds."""
    row = db.execute(_CURSOR).fetchone()
    seen, target, after = (row[1], row[2], row[3]) if row else (NOTHING_SEEN, None, 0)
    given = {"seen": seen, "target": target or NOTHING_SEEN, "after": after if target else 0}
    events, age = the_row(db.execute(_LAG, given))
    return {"lag_events": events, "lag_seconds": round(max(0.0, age or 0.0), 3)}


def relay_status(db: psycopg.Connection[Any]) -> dict[str, Any]:
    """The leader, the place of the cursor, the lag, and the events that no processor wants."""
    row = db.execute(_CURSOR).fetchone()
    return {
        "leader": leader(db, "main"),
        "epoch": row[0] if row else 0,
        "moved_at": row[4].isoformat() if row else None,
        "head": head(db),
        **relay_lag(db),
        "passed_over": [
            {"type": kind, "events": events, "last_position": last} for kind, events, last in db.execute(_UNROUTED)
        ],
    }
