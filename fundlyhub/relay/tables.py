"""The relay's tables in the Events DB."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Table, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP

from fundlyhub.database import events_metadata
from fundlyhub.database.types import PgSnapshot

relay_cursors = Table(
    "relay_cursors",
    events_metadata,
    Column("name", Text, primary_key=True),
    Column("system_identifier", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False, server_default=text("0")),
    Column("seen", PgSnapshot, nullable=False),
    Column("target", PgSnapshot),
    Column("after", BigInteger, nullable=False, server_default=text("0")),
    Column("moved_at", TIMESTAMP(timezone=True), nullable=False, server_default=text("now()")),
)

processors = Table(
    "processors",
    events_metadata,
    Column("name", Text, primary_key=True),
    Column("patterns", ARRAY(Text), nullable=False),
    Column("from_position", BigInteger, nullable=False),
    Column("registered_at", TIMESTAMP(timezone=True), nullable=False, server_default=text("now()")),
)

unrouted = Table(
    "unrouted",
    events_metadata,
    Column("type", Text, primary_key=True),
    Column("events", BigInteger, nullable=False),
    Column("last_position", BigInteger, nullable=False),
)
