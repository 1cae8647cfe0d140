"""The table of attempts: which events of which processor failed so far, and when each is due again.

All its times are the server's: a worker whose clock is wrong neither forgets an event for hours nor gives up early.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger, Column, Connection, Index, Integer, Table, Text
from sqlalchemy.dialects.postgresql import TIMESTAMP

from fundlyhub.database import events_metadata

attempts = Table(
    "attempts",
    events_metadata,
    Column("processor", Text, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("attempts", Integer, nullable=False),
    Column("first_seen", TIMESTAMP(timezone=True), nullable=False),
    Column("next_at", TIMESTAMP(timezone=True), nullable=False),
    Column("error_class", Text),
)
Index("attempts_next_at_idx", attempts.c.next_at)

_CLOCK = "SELECT clock_timestamp()"
_READ = """
    SELECT position, attempts, first_seen, next_at FROM events.attempts
    WHERE processor = %(processor)s AND position = ANY (%(positions)s::bigint[])
"""
_RECORD = """
    INSERT INTO events.attempts AS a (processor, position, attempts, first_seen, next_at, error_class)
    SELECT %(processor)s, g.position, g.spent, %(now)s, g.next_at, g.error_class
    FROM unnest(%(positions)s::bigint[], %(spent)s::int[], %(next_at)s::timestamptz[], %(errors)s::text[])
         AS g(position, spent, next_at, error_class)
    ORDER BY g.position
    ON CONFLICT (processor, position) DO UPDATE
        SET attempts = greatest(0, a.attempts + excluded.attempts), next_at = excluded.next_at,
            error_class = coalesce(excluded.error_class, a.error_class)
"""
_COUNT = """
    INSERT INTO events.attempts AS a (processor, position, attempts, first_seen, next_at)
    VALUES (%(processor)s, %(position)s, 1, %(now)s, %(next_at)s)
    ON CONFLICT (processor, position) DO UPDATE SET attempts = a.attempts + 1, next_at = excluded.next_at
"""
_FORGET = """
    DELETE FROM events.attempts WHERE processor = %(processor)s AND position = ANY (%(positions)s::bigint[])
"""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is known of an event that failed before: failures, since when, and when it is due."""

    attempts: int
    first_seen: datetime
    next_at: datetime


@dataclass(frozen=True, slots=True)
class Postponed:
    """An event to be run again: ``spent`` attempts (0 for a snooze, -1 to give one back), due at ``next_at``."""

    position: int
    spent: int
    next_at: datetime
    error_class: str | None


def clock(db: Connection) -> datetime:
    """What time it is, for all that has to do with attempts."""
    return db.exec_driver_sql(_CLOCK).scalar_one()  # type: ignore[no-any-return]


def read(db: Connection, processor: str, positions: Sequence[int]) -> dict[int, Attempt]:
    """The attempts of those of these positions that have any."""
    rows = db.exec_driver_sql(_READ, {"processor": processor, "positions": list(positions)})
    return {row.position: Attempt(row.attempts, row.first_seen, row.next_at) for row in rows}


def record(db: Connection, processor: str, postponed: Sequence[Postponed], *, now: datetime) -> None:
    """Note when these events are due again, and what they have spent."""
    if postponed:
        db.exec_driver_sql(
            _RECORD,
            {
                "processor": processor,
                "now": now,
                "positions": [item.position for item in postponed],
                "spent": [item.spent for item in postponed],
                "next_at": [item.next_at for item in postponed],
                "errors": [item.error_class for item in postponed],
            },
        )


def count(db: Connection, processor: str, position: int, *, now: datetime, next_at: datetime) -> None:
    """Count an attempt before it is made, so that a run which kills its worker is counted too."""
    db.exec_driver_sql(_COUNT, {"processor": processor, "position": position, "now": now, "next_at": next_at})


def forget(db: Connection, processor: str, positions: Iterable[int]) -> None:
    """These events are settled."""
    gone = list(positions)
    if gone:
        db.exec_driver_sql(_FORGET, {"processor": processor, "positions": gone})
