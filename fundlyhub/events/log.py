"""The event log: its table, and reading events back from it by position."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, Column, Connection, Identity, Index, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

from fundlyhub.database.arrays import array
from fundlyhub.database.metadata import events_metadata
from fundlyhub.database.types import Xid8
from fundlyhub.events.rules import MAX_BYTES

events = Table(
    "events",
    events_metadata,
    Column("position", BigInteger, Identity(always=True), primary_key=True),
    Column("xid", Xid8, nullable=False, server_default=text("pg_current_xact_id()")),
    Column("id", Uuid, nullable=False, unique=True),
    Column("type", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("aggregate_type", Text),
    Column("aggregate_id", Text),
    Column("payload", JSONB, nullable=False),
    Column("metadata", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("correlation_id", Uuid),
    Column("causation_id", Uuid),
    Column("occurred_at", TIMESTAMP(timezone=True), nullable=False),
    Column("recorded_at", TIMESTAMP(timezone=True), nullable=False, server_default=text("now()")),
)
Index("events_xid_idx", events.c.xid)

secret_keys = Table(
    "secret_keys",
    events_metadata,
    Column("type", Text, primary_key=True),
    Column("key", Text, primary_key=True),
)

# A time that Python cannot hold (infinity, the year 20000) comes as the nearest that it can, to be refused by
# the check of times, and not as an error that fails the whole read.
# A payload above the limit stays where it is: a row of ten megabytes must not travel to say that it is
# too large. pg_column_size is the compressed size and costs nothing; the true size is checked on arrival.
_READ = """
    SELECT {question}, e.position, e.id, e.type, e.version,
           greatest(least(e.occurred_at, '9999-12-30'), '0001-01-02') AS occurred_at,
           e.recorded_at, e.correlation_id, e.causation_id,
           CASE WHEN pg_column_size(e.payload) <= %(limit)s THEN e.payload::text END, e.metadata::text
    FROM events.events e
    WHERE e.position = ANY (%(positions)s::bigint[])
    ORDER BY e.position
"""


_DECODER = json.JSONDecoder(parse_float=Decimal)


class StoredEvent(NamedTuple):
    """A row of the log, not yet checked. ``payload`` is JSON text, or None when it is far too large."""

    position: int
    id: UUID
    type: str
    version: str
    occurred_at: datetime
    recorded_at: datetime
    correlation_id: UUID | None
    causation_id: UUID | None
    payload: str | None
    metadata: str


def read(db: Connection, positions: Sequence[int]) -> list[StoredEvent]:
    """The rows at these positions, in order; a position that is not there is left out."""
    return read_and_ask(db, positions, "NULL")[0]


def read_and_ask(
    db: Connection, positions: Sequence[int], question: str, **given: str
) -> tuple[list[StoredEvent], bool | None]:
    """The same, and on the same way the answer to a question on all of them; None when none is there.

    The question is a constant, in SQL. It may name ``positions``, and ``given``.
    """
    parameters = {"positions": array(positions), "limit": 4 * MAX_BYTES, **given}
    found = db.exec_driver_sql(_READ.format(question=question), parameters)
    assert found.cursor is not None
    rows = found.cursor.fetchall()  # the driver's own: SQLAlchemy's rows are a third of the cost of reading
    found.close()
    return [StoredEvent._make(row[1:]) for row in rows], rows[0][0] if rows else None


def decode(stored: str) -> Any:
    """JSON text of the log as Python values, numbers with a point as Decimal.

    Raises RecursionError or ValueError for what the log can hold and Python cannot.
    """
    if stored == "{}":  # most metadata
        return {}
    # jsonb's text has no space around it, and json.loads would make a decoder for each call.
    return _DECODER.raw_decode(stored)[0]
