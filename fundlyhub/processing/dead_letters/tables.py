"""The tables of dead letters: the letters, corrected payloads, and who did what to which letter."""

from __future__ import annotations

from typing import get_args

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

from fundlyhub.database import events_metadata
from fundlyhub.processing.dead_letters.model import Action, State


def _one_of(words: object) -> str:
    return ", ".join(f"'{word}'" for word in get_args(words))


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
    Column("aggregate_type", Text),
    Column("aggregate_id", Text),
    Column("changed_at", TIMESTAMP(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    UniqueConstraint("processor", "position"),
    CheckConstraint(f"state IN ({_one_of(State)})", name="state"),
)
Index("dead_letters_fingerprint_idx", dead_letters.c.fingerprint)
Index("dead_letters_aggregate_id_idx", dead_letters.c.aggregate_id)
Index("dead_letters_newest_idx", dead_letters.c.state, dead_letters.c.last_failed_at, dead_letters.c.id)
# All that a list of groups counts, so that it reads no letter with its traceback.
Index(
    "dead_letters_groups_idx",
    dead_letters.c.state,
    dead_letters.c.fingerprint,
    postgresql_include=["id", "first_failed_at", "last_failed_at"],
)

dead_letter_audit = Table(
    "dead_letter_audit",
    events_metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("letter_id", BigInteger, ForeignKey("events.dead_letters.id"), nullable=False),
    Column("at", TIMESTAMP(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    Column("who", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("details", Text),
    CheckConstraint(f"action IN ({_one_of(Action)})", name="action"),
)
Index("dead_letter_audit_letter_id_idx", dead_letter_audit.c.letter_id, dead_letter_audit.c.id)

# The event id is part of what a correction is for: positions are given out again by a log that was restored.
corrections = Table(
    "corrections",
    events_metadata,
    Column("processor", Text, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("event_id", Uuid, nullable=False),
    Column("version", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
)
