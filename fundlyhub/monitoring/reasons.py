"""Reasons why events wait: of each failed or snoozed event, and of one event in each processor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import psycopg

from fundlyhub.processing.pauses import IN_FORCE
from fundlyhub.processing.processor import Processor
from fundlyhub.processing.routing import wanting
from fundlyhub.relay.registration import starts
from fundlyhub.relay.unsettled import unsettled

Kind = Literal["retry", "snoozed", "held", "running", "not run"]
"""``retry``: it failed; ``snoozed``: it was put off; ``held``: its processor is paused; ``running``: a run has begun
and not ended; ``not run``: no run is known."""

_WHERE = """
    WHERE (%(processor)s::text IS NULL OR a.processor = %(processor)s)
      AND (%(position)s::bigint IS NULL OR a.position = %(position)s)
      AND (%(reason)s::text IS NULL OR strpos(lower(concat_ws(' ', a.error_class, a.reason)), lower(%(reason)s)) > 0)
"""
_LIST = f"""
    SELECT a.processor, a.position, e.id, e.type, a.attempts, a.error_class, a.reason, a.fingerprint,
           a.first_seen, a.next_at
    FROM events.attempts a LEFT JOIN events.events e USING (position)
    {_WHERE} ORDER BY a.first_seen, a.processor, a.position LIMIT %(limit)s
"""  # noqa: S608  # our own constant
_GROUPS = f"""
    SELECT a.processor, coalesce(a.error_class, ''), coalesce(a.reason, ''), count(*), min(a.first_seen), min(a.next_at)
    FROM events.attempts a {_WHERE} GROUP BY 1, 2, 3 ORDER BY count(*) DESC, 1, 2, 3 LIMIT %(limit)s
"""  # noqa: S608  # the same
_COUNT = f"SELECT count(*) FROM events.attempts a {_WHERE}"  # noqa: S608  # the same
_EVENTS = "SELECT id, position, type, recorded_at FROM events.events WHERE id >= %s AND id <= %s ORDER BY id LIMIT 2"
_RELAYED = """
    SELECT pg_visible_in_snapshot(e.xid, c.seen) OR (pg_visible_in_snapshot(e.xid, c.target) AND e.position <= c.after)
    FROM events.events e JOIN events.relay_cursors c ON c.name = 'main' WHERE e.position = %s
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Filter of waiting events: by processor, by position, or by a text in the reason."""

    processor: str | None = None
    position: int | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Waits:
    """An event that waits for a processor. ``reason`` contains no value of the event."""

    processor: str
    position: int
    event_id: UUID | None
    type: str | None
    kind: Kind
    attempts: int
    error: str | None
    reason: str
    since: datetime
    next_at: datetime | None


@dataclass(frozen=True, slots=True)
class Reason:
    """The events of a processor that wait for the same reason."""

    processor: str
    error: str
    reason: str
    events: int
    since: datetime
    next_at: datetime


@dataclass(frozen=True, slots=True)
class Logged:
    """An event of the log."""

    id: UUID
    position: int
    type: str
    recorded_at: datetime


def waits(db: psycopg.Connection[Any], wanted: Wanted, limit: int) -> list[Waits]:
    """Events that failed or were snoozed, the oldest first. ``db`` is connected to the Events DB."""
    paused = {name for name, *_ in db.execute(IN_FORCE)}
    return [_waits(row, paused) for row in db.execute(_LIST, {**_given(wanted), "limit": limit})]


def reasons(db: psycopg.Connection[Any], wanted: Wanted, limit: int) -> list[Reason]:
    """The reasons, the most frequent first."""
    return [Reason(*row) for row in db.execute(_GROUPS, {**_given(wanted), "limit": limit})]


def count(db: psycopg.Connection[Any], wanted: Wanted) -> int:
    """The number of waiting events."""
    row = db.execute(_COUNT, _given(wanted)).fetchone()
    return int(row[0]) if row else 0


def events_named(db: psycopg.Connection[Any], prefix: str) -> list[Logged]:
    """The event with this prefix of its id; two events if the prefix is ambiguous."""
    digits = prefix.replace("-", "").lower()
    low, high = UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
    return [Logged(*row) for row in db.execute(_EVENTS, (low, high))]


def not_run(
    db: psycopg.Connection[Any], processors: Mapping[str, type[Processor]], event: Logged, idle: Sequence[str]
) -> Iterator[Waits]:
    """The processors that want an event and have not settled it, each with the known reason.

    ``idle`` are the queues without a worker.
    """
    first = starts(db)
    paused = {name: f"{kind}): {reason}" for name, kind, reason in db.execute(IN_FORCE)}  # by hand comes last
    row = db.execute(_RELAYED, (event.position,)).fetchone()
    for name, processor in processors.items():
        wants = wanting(processor)(event.type) and event.position > first.get(name, 0)
        if not wants or not unsettled(db, processor, [event.position]):
            continue
        kind: Kind = "not run"
        if not (row and row[0]):
            reason = "it is not relayed yet: see `fundlyhub relay status`"
        elif name in paused:
            kind, reason = "held", f"the processor is paused ({paused[name]}"
        elif processor.queue in idle:
            reason = f"no worker consumes the queue {processor.queue}"
        else:
            reason = f"it is in the queue {processor.queue}, or a worker is running it"
        yield Waits(name, event.position, event.id, event.type, kind, 0, None, reason, event.recorded_at, None)


def _given(wanted: Wanted) -> dict[str, Any]:
    return {"processor": wanted.processor, "position": wanted.position, "reason": wanted.reason}


def _waits(row: Sequence[Any], paused: set[str]) -> Waits:
    processor, position, event_id, type_, attempts, error, reason, fingerprint, since, next_at = row
    kind: Kind = "retry" if attempts > 0 else "snoozed"
    if error is None:
        kind = "running"
    elif processor in paused and fingerprint is not None:
        kind = "held"
    text = reason or (error or "its run has begun, and has not ended")
    return Waits(processor, position, event_id, type_, kind, attempts, error, text, since, next_at)
