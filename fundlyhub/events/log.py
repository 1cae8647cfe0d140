"""The event log, the table ``events``: reading events back from it by position."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.database.arrays import array
from fundlyhub.errors import InvalidEvent
from fundlyhub.events.rules import MAX_BYTES, MAX_DEPTH
from fundlyhub.events.sessions import Statement, SyncSession, execute


def representable(time: str) -> str:
    """SQL for a time of the log, limited to what Python can hold (not infinity or the year 20000).

    The check of times then refuses that event, and the read of the others does not fail.
    """
    return f"greatest(least({time}, '9999-12-30'), '0001-01-02')"


# A value above the limit is not transferred only to be refused. pg_column_size is the compressed size and costs
# nothing; the real size is checked after the transfer.
_READ = f"""
    SELECT {{question}}, e.position, e.id, e.type, e.version,
           {representable("e.occurred_at")}, {representable("e.recorded_at")}, e.correlation_id, e.causation_id,
           CASE WHEN pg_column_size(e.payload) <= %(limit)s THEN e.payload::text END,
           CASE WHEN pg_column_size(e.metadata) <= %(limit)s THEN e.metadata::text END
    FROM events.events e
    WHERE e.position = ANY (%(positions)s::bigint[])
    ORDER BY e.position
"""  # noqa: S608  # our own constants


_HEAD = Statement("SELECT coalesce(max(position), 0) FROM events.events")
_DECODER = json.JSONDecoder(parse_float=Decimal)


class StoredEvent(NamedTuple):
    """A row of the log, unchecked. Payload and metadata are JSON text, or None if they are far too large."""

    position: int
    id: UUID
    type: str
    version: str
    occurred_at: datetime
    recorded_at: datetime
    correlation_id: UUID | None
    causation_id: UUID | None
    payload: str | None
    metadata: str | None


def head(db: SyncSession) -> int:
    """The newest position that is visible; 0 in an empty log. ``db`` is a connection to the Events DB."""
    return int(execute(db, _HEAD, {})[0][0])


def read(db: Connection, positions: Sequence[int]) -> list[StoredEvent]:
    """The rows at these positions, in order; missing positions are left out."""
    return read_and_ask(db, positions, "NULL")[0]


def read_and_ask(
    db: Connection, positions: Sequence[int], question: str, **given: str
) -> tuple[list[StoredEvent], bool | None]:
    """The same rows, and in the same round trip the answer to a question; None without any row.

    The question is a constant SQL expression, with the parameters ``positions`` and ``given``.
    """
    parameters = {"positions": array(positions), "limit": 4 * MAX_BYTES, **given}
    found = db.exec_driver_sql(_READ.format(question=question), parameters)
    assert found.cursor is not None
    rows = found.cursor.fetchall()  # the driver's rows: SQLAlchemy's are a third of the cost of a read
    found.close()
    return [StoredEvent._make(row[1:]) for row in rows], rows[0][0] if rows else None


def decode(stored: str | None, field: str = "payload") -> dict[str, Any]:
    """The JSON object of a column of the log as Python values, with fractions as Decimal.

    Raises InvalidEvent for a value that is not an object, too large, or beyond what Python can hold.
    """
    if stored == "{}":  # the usual metadata
        return {}
    if stored is None or len(stored) > 2 * MAX_BYTES:
        raise InvalidEvent(f"{field}: must have at most {MAX_BYTES} bytes")
    try:
        # jsonb's text has no surrounding space; json.loads would make a decoder for each call.
        value, _ = _DECODER.raw_decode(stored)
    except RecursionError:
        raise InvalidEvent(f"{field}: must not be nested deeper than {MAX_DEPTH} levels") from None
    except ValueError:  # a whole number of thousands of digits
        raise InvalidEvent(f"{field}: must not hold such large numbers") from None
    if not isinstance(value, dict):
        raise InvalidEvent(f"{field}: must be an object")
    return value
