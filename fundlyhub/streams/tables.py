"""The tables of quarantine: entries that cannot be events, and who did what to which."""

from __future__ import annotations

from typing import get_args

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

from fundlyhub.database import events_metadata
from fundlyhub.streams.quarantine_model import Action, State


def _one_of(words: object) -> str:
    return ", ".join(f"'{word}'" for word in get_args(words))


# A stream that was lost and begun anew may give an id to another entry: the digest of the fields tells them apart.
quarantine = Table(
    "quarantine",
    events_metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("stream", Text, nullable=False),
    Column("entry_id", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("type", Text),
    Column("fields", JSONB, nullable=False),
    Column("reason", Text, nullable=False),
    Column("state", Text, nullable=False, server_default=text("'open'")),
    Column("event_id", Uuid),
    Column("received_at", TIMESTAMP(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    Column("changed_at", TIMESTAMP(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    UniqueConstraint("stream", "entry_id", "digest"),
    CheckConstraint(f"state IN ({_one_of(State)})", name="state"),
)
Index("quarantine_newest_idx", quarantine.c.state, quarantine.c.received_at, quarantine.c.id)

quarantine_audit = Table(
    "quarantine_audit",
    events_metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("quarantine_id", BigInteger, ForeignKey("events.quarantine.id"), nullable=False),
    Column("at", TIMESTAMP(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    Column("who", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("details", Text),
    CheckConstraint(f"action IN ({_one_of(Action)})", name="action"),
)
Index("quarantine_audit_quarantine_id_idx", quarantine_audit.c.quarantine_id, quarantine_audit.c.id)
