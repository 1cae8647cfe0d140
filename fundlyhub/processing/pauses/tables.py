"""The tables of pauses and of the failures that lead to them, in the Events DB."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Identity, Index, Integer, Table, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP

from fundlyhub.database import events_metadata

_NOW = text("clock_timestamp()")

# A pause that is over keeps its row until all that it held back is sent.
processor_pauses = Table(
    "processor_pauses",
    events_metadata,
    Column("processor", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("who", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("since", TIMESTAMP(timezone=True), nullable=False, server_default=_NOW),
    Column("until", TIMESTAMP(timezone=True)),
    Column("fingerprint", Text),
    Column("failed", Integer),
    Column("probe_at", TIMESTAMP(timezone=True)),
    Column("probes", Integer, nullable=False, server_default=text("0")),
    Column("probing", ARRAY(BigInteger), nullable=False, server_default=text("'{}'::bigint[]")),
    Column("ended_at", TIMESTAMP(timezone=True)),
    CheckConstraint("kind IN ('burst', 'by hand')", name="kind"),
)

processor_pause_audit = Table(
    "processor_pause_audit",
    events_metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("processor", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", TIMESTAMP(timezone=True), nullable=False, server_default=_NOW),
    Column("who", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("details", Text),
    CheckConstraint("action IN ('paused', 'resumed')", name="action"),
)
Index("processor_pause_audit_processor_idx", processor_pause_audit.c.processor, processor_pause_audit.c.id)

failure_bursts = Table(
    "failure_bursts",
    events_metadata,
    Column("processor", Text, primary_key=True),
    Column("fingerprint", Text, primary_key=True),
    Column("began_at", TIMESTAMP(timezone=True), nullable=False),
    Column("failed", Integer, nullable=False),
    Column("succeeded", Integer, nullable=False),
)
