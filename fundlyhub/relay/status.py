"""How far the relay and the processors are: what `fundlyhub status` and `fundlyhub relay status` show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from fundlyhub.database import get_engine
from fundlyhub.processing import pauses
from fundlyhub.processing.processor import Processor
from fundlyhub.processing.routing import Router
from fundlyhub.relay.cursor import NOTHING_SEEN
from fundlyhub.relay.leader import leader
from fundlyhub.relay.registration import starts
from fundlyhub.relay.unsettled import unsettled

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
    SELECT p.name, a.events,
           (SELECT count(*) FROM events.dead_letters d WHERE d.processor = p.name AND d.state = 'open'), a.age
    FROM unnest(%s::text[]) AS p(name), LATERAL (
        SELECT count(*) AS events, extract(epoch FROM clock_timestamp() - min(first_seen))::float8 AS age
        FROM events.attempts WHERE processor = p.name) a
"""
_NOW = "SELECT clock_timestamp()"
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

    With them the ages of the oldest events that wait and that are retried, and the pause, if it is paused. Also the
    processors that a newer or an older release has registered, and this one does not have.
    ``db`` is an autocommit connection to the Events DB. Numbers are exact at slightly different moments.
    """
    (head,) = _one(db, _HEAD)
    lag = relay_lag(db)
    held = {name: counts for name, *counts in db.execute(_HELD, (list(processors),))}
    first = starts(db)
    with get_engine("events").connect() as log_db:
        paused = pauses.paused(log_db)
    return {
        "log": {"head": head},
        "relay": lag,
        "processors": {
            name: {
                **_processor_status(db, processor, first.get(name, 0), *held[name]),
                "paused": _pause(paused[name]) if name in paused else None,
            }
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
    db: psycopg.Connection[Any], processor: type[Processor], start: int, retrying: int, dead: int, age: float | None
) -> dict[str, Any]:
    """``waiting``: wanted, beyond what the sweep knows to be settled, and neither applied nor held."""
    row = db.execute(_SEEN, (f"sweep:{processor.name}",)).fetchone()
    router = Router({processor.name: processor})
    beyond = db.execute(_BEYOND, {"seen": row[0] if row else NOTHING_SEEN})
    recorded = {position: at for position, kind, at, _ in beyond if position > start and router.wanting(kind)}
    with get_engine(processor.database).connect() as effects:
        applied = effects.exec_driver_sql(_APPLIED, {"processor": processor.name}).scalar_one()
    waiting = unsettled(db, processor, sorted(recorded))
    oldest = (_one(db, _NOW)[0] - recorded[waiting[0]]).total_seconds() if waiting else None
    return {
        "applied": applied,
        "waiting": len(waiting),
        "retrying": retrying,
        "dead": dead,
        "oldest_waiting_seconds": None if oldest is None else round(max(0.0, oldest), 3),
        "oldest_retrying_seconds": None if age is None else round(max(0.0, age), 3),
    }


def _pause(pause: pauses.Pause) -> dict[str, Any]:
    return {
        "kind": pause.kind,
        "who": pause.who,
        "reason": pause.reason,
        "since": pause.since.isoformat(),
        "until": pause.until and pause.until.isoformat(),
        "probes": pause.probes,
        "next_probe_at": pause.probe_at and pause.probe_at.isoformat(),
    }


def _one(db: psycopg.Connection[Any], query: Any, values: Any = None) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = db.execute(query, values).fetchone()
    assert row is not None
    return row
