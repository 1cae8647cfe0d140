"""How far the processors are: what `fundlyhub status` shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import psycopg

from fundlyhub.database import connect, get_engine
from fundlyhub.events.log import head
from fundlyhub.monitoring.blocked import blocked
from fundlyhub.monitoring.waiting import Log
from fundlyhub.processing import pauses
from fundlyhub.processing.processor import Processor
from fundlyhub.relay import forged
from fundlyhub.relay.status import relay_lag
from fundlyhub.settings import Branch

_HELD = """
    SELECT p.name, a.events,
           (SELECT count(*) FROM events.dead_letters d WHERE d.processor = p.name AND d.state = 'open'), a.age
    FROM unnest(%s::text[]) AS p(name), LATERAL (
        SELECT count(*) AS events, extract(epoch FROM clock_timestamp() - min(first_seen))::float8 AS age
        FROM events.attempts WHERE processor = p.name) a
"""
# What no code here handles waits for a release that does, and holds up nothing else.
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

    With them the ages of the oldest events that wait and that are retried, the pause of a processor that is
    paused, and what the database of a processor lacks.
    Also the processors that a newer or an older release has registered, and this one does not have.
    ``db`` is an autocommit connection to the Events DB. Numbers are exact at slightly different moments.
    """
    found = {"log": {"head": head(db), **forged.look(db)._asdict()}, "relay": relay_lag(db)}
    held = {name: counts for name, *counts in db.execute(_HELD, (list(processors),))}
    with get_engine("events").connect() as log_db:
        paused = pauses.paused(log_db)
    stopped = blocked(db)
    counted: dict[str, dict[str, Any]] = {}
    for branch in sorted({one.database for one in processors.values()}):
        counted |= _of_branch(db, branch, processors)
    for name, (retrying, dead, age) in held.items():
        counted[name] |= {
            "retrying": retrying,
            "dead": dead,
            "oldest_retrying_seconds": None if age is None else round(max(0.0, age), 3),
            "blocked": asdict(stopped[name]) if name in stopped else None,
            "paused": _pause(paused[name]) if name in paused else None,
        }
    others = [
        {"name": name, "registered_at": at.isoformat(), "retrying": retrying, "dead": dead}
        for name, at, retrying, dead in db.execute(_OTHERS, (list(processors),))
    ]
    return {**found, "processors": {name: counted[name] for name in processors}, "of_other_releases": others}


def _of_branch(
    db: psycopg.Connection[Any], branch: Branch, processors: Mapping[str, type[Processor]]
) -> dict[str, dict[str, Any]]:
    """What the processors of one database have applied, and what waits for them."""
    found = {}
    with connect(branch, autocommit=True) as effects:
        here = {name: processor for name, processor in processors.items() if processor.database == branch}
        log = Log(db, effects, here.values())
        for name, processor in here.items():
            (applied,) = effects.execute(_APPLIED, {"processor": name}).fetchone() or (0,)
            waiting = log.waiting(processor)
            oldest = round(waiting.oldest, 3) if waiting.events else None
            found[name] = {"applied": applied, "waiting": waiting.events, "oldest_waiting_seconds": oldest}
    return found


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
