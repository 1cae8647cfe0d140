"""The event log, the table ``events``: its rows, unchecked, and its head."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from fundlyhub.errors import InvalidEvent
from fundlyhub.events.rules import MAX_BYTES, MAX_DEPTH
from fundlyhub.events.sessions import Statement, SyncSession, execute


def representable(time: str) -> str:
    """SQL for a time of the log, limited to what Python can hold (not infinity or the year 20000).

    The check of times then refuses that event, and the read of the others does not fail.
    """
    return f"greatest(least({time}, '9999-12-30'), '0001-01-02')"


LONGEST_AGGREGATE_ID = 200
"""Most characters that are read of the id of what an event is about."""
MAX_TEXT = 2 * MAX_BYTES
"""Most bytes of a payload or of metadata as the log writes it, which is with spaces; what is longer is not loaded."""
LONGEST_TYPE = 200
"""Most characters of an event's type; a row may hold a longer one, of which no more than one is read."""

_HEAD = Statement("SELECT coalesce(max(position), 0) FROM events.events")
_DECODER = json.JSONDecoder(parse_float=Decimal)


class StoredEvent(NamedTuple):
    """A row of the log, unchecked. Payload and metadata are JSON text; None if they are far too large or too deep."""

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
    aggregate_id: str | None = None


def head(db: SyncSession) -> int:
    """The newest position that is visible; 0 in an empty log. ``db`` is a connection to the Events DB."""
    return int(execute(db, _HEAD, {})[0][0])


def decode(stored: str | None, field: str = "payload") -> dict[str, Any]:
    """The JSON object of a column of the log as Python values, with fractions as Decimal.

    Raises InvalidEvent for a value that is not an object, too large, or beyond what Python can hold.
    """
    if stored == "{}":  # the usual metadata
        return {}
    if stored is None:
        raise InvalidEvent(f"{field}: must have at most {MAX_BYTES} bytes and {MAX_DEPTH} levels")
    if len(stored) > MAX_TEXT:
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
