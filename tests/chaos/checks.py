"""Whether all is settled, and right: each event of the log against claims, effects, sums, mails and queues."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg

import fundlyhub.processors  # noqa: F401  # registers ours
import tests.chaos.processors  # noqa: F401  # and those of these tests
from fundlyhub.processing import registry
from fundlyhub.processing.routing import Router

EFFECTS = ("chaos_steady", "chaos_write", "chaos_bulk", "chaos_rival")
"""Processors that write a row for each effect."""

_LOG = "SELECT position, id, type FROM events.events ORDER BY position"
_WANTING = "SELECT name, from_position FROM events.processors"
_CLAIMS = """
    SELECT processor, position, event_id FROM app.processed_events
    UNION ALL SELECT processor, position, event_id FROM analytics.processed_events
"""
_DEAD = "SELECT processor, position FROM events.dead_letters WHERE state = 'open'"
_WAITING = "SELECT count(*) FROM events.attempts"
_ROWS = """
    SELECT processor, event_id FROM app.chaos_effects UNION ALL SELECT processor, event_id FROM analytics.chaos_effects
"""
_RAISED = "SELECT coalesce(sum(total_raised), 0) FROM analytics.campaign_stats_projection"


@dataclass(frozen=True, slots=True)
class Findings:
    """What is wrong, in numbers of (processor, event)."""

    missing: int = 0
    foreign: int = 0
    doubled: int = 0
    waiting: int = 0

    def __bool__(self) -> bool:
        return any((self.missing, self.foreign, self.doubled, self.waiting))


def findings(db: psycopg.Connection[Any]) -> Findings:
    """Compare the log with all that processors keep of it."""
    wanted = set(_wanted(db))
    claims = {(name, position): event for name, position, event in db.execute(_CLAIMS)}
    dead = {(name, position) for name, position in db.execute(_DEAD)}
    missing = foreign = 0
    for name, position, event in wanted:
        if (name, position) in dead:
            continue
        claim = claims.get((name, position))
        missing += claim is None
        foreign += claim is not None and claim != event
    return Findings(missing, foreign, doubled(db), int(_value(db, _WAITING)))


def _wanted(db: psycopg.Connection[Any]) -> Iterator[tuple[str, int, UUID]]:
    """Each event that each processor is to have."""
    starts: Mapping[str, int] = dict(db.execute(_WANTING).fetchall())
    router = Router({name: cls for name, cls in registry.processors().items() if name in starts})
    for position, event, kind in db.execute(_LOG).fetchall():
        for processor in router.wanting(kind):
            if position > starts[processor.name]:
                yield processor.name, position, event


def effects(db: psycopg.Connection[Any]) -> Counter[tuple[str, UUID]]:
    """How often each event had its effect in those processors that write a row for it."""
    return Counter((name, event) for name, event in db.execute(_ROWS))


def doubled(db: psycopg.Connection[Any]) -> int:
    """Effects that happened more than once."""
    return sum(times - 1 for times in effects(db).values())


def effects_missing(db: psycopg.Connection[Any]) -> int:
    """Claims and no effect: the worst of all."""
    done, dead = effects(db), {(name, position) for name, position in db.execute(_DEAD)}
    return sum(
        name in EFFECTS and (name, position) not in dead and not done[name, event]
        for name, position, event in _wanted(db)
    )


def raised(db: psycopg.Connection[Any]) -> Decimal:
    """The money in the statistics."""
    return Decimal(_value(db, _RAISED))


def _value(db: psycopg.Connection[Any], query: str) -> Any:
    row = db.execute(query).fetchone()
    assert row is not None
    return row[0]
