"""Dead letters: events that a processor gave up on, kept with their error until a person decides.

Only our own words go in: an exception's class and place, the SQLSTATE and the names that the database
gives, and the texts of our own errors, which speak of fields and rules. Values of an event never do.
"""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import psycopg
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Connection,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.exc import DBAPIError

from fundlyhub.database import events_metadata, sqlstate
from fundlyhub.errors import FundlyHubError
from fundlyhub.processing.outcome import WorkerLost

dead_letters = Table(
    "dead_letters",
    events_metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("processor", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("event_id", Uuid, nullable=False),
    Column("type", Text, nullable=False),
    Column("error_class", Text, nullable=False),
    Column("error_message", Text, nullable=False),
    Column("traceback", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("first_failed_at", TIMESTAMP(timezone=True), nullable=False),
    Column("last_failed_at", TIMESTAMP(timezone=True), nullable=False),
    Column("state", Text, nullable=False, server_default=text("'open'")),
    UniqueConstraint("processor", "position"),
    CheckConstraint("state IN ('open', 'replayed', 'discarded')", name="state"),
)
Index("dead_letters_fingerprint_idx", dead_letters.c.fingerprint)

# Given up again after a replay: the letter is open again, with its newest error and its first time.
_RECORD = """
    INSERT INTO events.dead_letters AS d
        (processor, position, event_id, type, error_class, error_message, traceback, fingerprint, attempts,
         first_failed_at, last_failed_at)
    VALUES (%(processor)s, %(position)s, %(event_id)s, %(type)s, %(error_class)s, %(error_message)s, %(traceback)s,
            %(fingerprint)s, %(attempts)s, %(first_failed_at)s, %(now)s)
    ON CONFLICT (processor, position) DO UPDATE
        SET error_class = excluded.error_class, error_message = excluded.error_message,
            traceback = excluded.traceback, fingerprint = excluded.fingerprint,
            attempts = d.attempts + excluded.attempts, last_failed_at = excluded.last_failed_at, state = 'open'
"""
_SETTLED = """
    SELECT position FROM events.dead_letters
    WHERE processor = %(processor)s AND position = ANY (%(positions)s::bigint[]) AND state <> 'replayed'
"""
_REPLAYED = """
    SELECT position, last_failed_at FROM events.dead_letters
    WHERE processor = %(processor)s AND position = ANY (%(positions)s::bigint[]) AND state = 'replayed'
"""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One event that a processor gave up on."""

    position: int
    event_id: UUID
    type: str
    error: BaseException
    attempts: int
    first_failed_at: datetime


def record(db: Connection, processor: str, letters: Sequence[DeadLetter], *, now: datetime) -> None:
    """Keep these letters; one that is there already is brought up to date."""
    for letter in sorted(letters, key=lambda item: item.position):
        message = describe(letter.error)
        db.exec_driver_sql(
            _RECORD,
            {
                "processor": processor,
                "position": letter.position,
                "event_id": letter.event_id,
                "type": letter.type,
                "error_class": error_class(letter.error),
                "error_message": message,
                "traceback": trace(letter.error),
                "fingerprint": fingerprint(processor, letter.error, message),
                "attempts": letter.attempts,
                "first_failed_at": letter.first_failed_at,
                "now": now,
            },
        )


def settled(db: Connection, processor: str, positions: Sequence[int]) -> set[int]:
    """Which of these positions rest as dead letters."""
    rows = db.exec_driver_sql(_SETTLED, {"processor": processor, "positions": list(positions)})
    return {position for (position,) in rows}


def replayed(db: Connection, processor: str, positions: Sequence[int]) -> dict[int, datetime]:
    """Which of these positions were dead letters that a person has sent again, and when they had failed last."""
    rows = db.exec_driver_sql(_REPLAYED, {"processor": processor, "positions": list(positions)})
    return {row.position: row.last_failed_at for row in rows}


def error_class(error: BaseException) -> str:
    """The class that names the fault: the driver's own where the database raised it."""
    original = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return type(original).__name__


def describe(error: BaseException) -> str:
    """One line on the error without a value of the event."""
    if isinstance(error, (FundlyHubError, WorkerLost)):
        return str(error)
    original = error.orig if isinstance(error, DBAPIError) else error
    parts = [type(original).__name__]
    if isinstance(original, psycopg.Error):
        names = ("schema_name", "table_name", "column_name", "constraint_name", "datatype_name")
        parts += [f"SQLSTATE {sqlstate(error) or 'unknown'}"]
        parts += [f"{name.removesuffix('_name')} {value}" for name in names if (value := getattr(original.diag, name))]
    else:
        parts.append("text withheld, since it may hold people's data; see the traceback")
    return ": ".join((parts[0], ", ".join(parts[1:])))


def trace(error: BaseException) -> str:
    """The frames that led to the error and to its causes, without the errors' texts."""
    blocks: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(blocks) < 10:
        frames = "".join(traceback.format_tb(cause.__traceback__, limit=-20))
        blocks.append(f"{frames}{type(cause).__module__}.{type(cause).__qualname__}")
        cause = cause.__cause__
    return "\n\ncaused by\n\n".join(blocks)


def fingerprint(processor: str, error: BaseException, message: str) -> str:
    """The same for faults that look alike: processor, class, our text and the innermost place."""
    frames = traceback.extract_tb(error.__traceback__, limit=-1)
    place = f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].name}" if frames else ""
    text = "|".join((processor, error_class(error), message, place))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
