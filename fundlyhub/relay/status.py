"""How far the relay and the processors are: what `fundlyhub status` and `fundlyhub relay status` show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from fundlyhub.database import get_engine
from fundlyhub.processing.processor import Processor
from fundlyhub.relay.cursor import NOTHING_SEEN
from fundlyhub.relay.leader import leader
from fundlyhub.relay.registration import starts
from fundlyhub.relay.routing import Router
from fundlyhub.relay.traces import unsettled

_HEAD = "SELECT coalesce(max(position), 0) FROM events.events"
_CURSOR = """
    SELECT epoch, seen::text, target::text, after, moved_at FROM events.relay_cursors WHERE name = 'main'
"""
_SEEN = "SELECT seen::text, after FROM events.relay_cursors WHERE name = %s"
# What a snapshot did not see, by the two branches of the cursor.
_BEYOND = """
    SELECT position, type, recorded_at, xid FROM events.events WHERE xid >= pg_snapshot_xmax(%(seen)s::pg_snapshot)
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
_HELD = """
    SELECT p.name, (SELECT count(*) FROM events.attempts a WHERE a.processor = p.name),
           (SELECT count(*) FROM events.dead_letters d WHERE d.processor = p.name AND d.state = 'open')
    FROM unnest(%s::text[]) AS p(name)
"""
# What no code here handles: it waits for a release that does, and holds up nobody.
_OTHERS = """
    SELECT p.name, p.registered_at, (SELECT count(*) FROM events.attempts a WHERE a.processor = p.name),
           (SELECT count(*) FROM events.dead_letters d WHERE d.processor = p.name AND d.state = 'open')
    FROM events.processors p WHERE p.name <> ALL (%s::text[]) ORDER BY p.name
"""
_APPLIED = """
    SELECT (SELECT count(*) FROM processed_events WHERE processor = %(processor)s)
         + (SELECT coalesce(sum((claims ->> %(processor)s)::bigint), 0)::bigint FROM dropped_claims)
"""


def status(db: psycopg.Connection[Any], processors: Mapping[str, type[Processor]]) -> dict[str, Any]:
    """The head of the log, what is not relayed, and per processor applied, waiting, retrying and dead.

    Also the processors that a newer or an older release has registered, and this one does not have.
    ``db`` is an autocommit connection to the Events DB. Numbers are exact at slightly different moments.
    """
    (head,) = _one(db, _HEAD)
    lag = relay_lag(db)
    held = {name: (retrying, dead) for name, retrying, dead in db.execute(_HELD, (list(processors),))}
    first = starts(db)
    return {
        "log": {"head": head},
        "relay": lag,
        "processors": {
            name: _processor_status(db, processor, first.get(name, 0), *held[name])
            for name, processor in processors.items()
        },
        "of_other_releases": [
            {"name": name, "registered_at": at.isoformat(), "retrying": retrying, "dead": dead}
            for name, at, retrying, dead in db.execute(_OTHERS, (list(processors),))
        ],
    }


def relay_lag(db: psycopg.Connection[Any]) -> dict[str, Any]:
    """Events that are committed and not yet relayed, and the age of the oldest in seconds."""
    row = db.execute(_CURSOR).fetchone()
    seen, target, after = (row[1], row[2], row[3]) if row else (NOTHING_SEEN, None, 0)
    events, age = _one(db, _LAG, {"seen": seen, "target": target or NOTHING_SEEN, "after": after if target else 0})
    return {"lag_events": events, "lag_seconds": round(max(0.0, age or 0.0), 3)}


def relay_status(db: psycopg.Connection[Any]) -> dict[str, Any]:
    """Who leads, where the cursor is, the lag, and what was passed over because no processor wants it."""
    row = db.execute(_CURSOR).fetchone()
    return {
        "leader": leader(db, "main"),
        "epoch": row[0] if row else 0,
        "moved_at": row[4].isoformat() if row else None,
        "head": _one(db, _HEAD)[0],
        **relay_lag(db),
        "passed_over": [
            {"type": kind, "events": events, "last_position": last} for kind, events, last in db.execute(_UNROUTED)
        ],
    }


def _processor_status(
    db: psycopg.Connection[Any], processor: type[Processor], start: int, retrying: int, dead: int
) -> dict[str, int]:
    """``waiting``: wanted, beyond what the sweep knows to be settled, and neither applied nor held."""
    row = db.execute(_SEEN, (f"sweep:{processor.name}",)).fetchone()
    router = Router({processor.name: processor})
    beyond = db.execute(_BEYOND, {"seen": row[0] if row else NOTHING_SEEN})
    open_positions = [position for position, kind, *_ in beyond if position > start and router.wanting(kind)]
    with get_engine(processor.database).connect() as effects:
        applied = effects.exec_driver_sql(_APPLIED, {"processor": processor.name}).scalar_one()
    waiting = len(unsettled(db, processor, open_positions))
    return {"applied": applied, "waiting": waiting, "retrying": retrying, "dead": dead}


def _one(db: psycopg.Connection[Any], query: Any, values: Any = None) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = db.execute(query, values).fetchone()
    assert row is not None
    return row
