"""Events that wait since a database lacks what their processor needs: a table, a column, a right, or the like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

from fundlyhub.database import SETUP_FAULTS

_BLOCKED = """
    SELECT processor, count(*), (array_agg(reason ORDER BY first_seen))[1] FROM events.attempts a
    WHERE error_class = ANY (%(faults)s::text[]) AND NOT EXISTS (
        SELECT FROM events.processor_pauses p
        WHERE p.processor = a.processor AND ended_at IS NULL AND (until IS NULL OR until > clock_timestamp()))
    GROUP BY processor ORDER BY processor
"""


@dataclass(frozen=True, slots=True)
class Blocked:
    """How many events wait, and what is missing for the oldest of them."""

    events: int
    reason: str


def blocked(db: psycopg.Connection[Any]) -> dict[str, Blocked]:
    """The processors with such events, but for those that are paused, whose pause says why. ``db`` is the Events DB."""
    rows = db.execute(_BLOCKED, {"faults": list(SETUP_FAULTS)})
    return {processor: Blocked(events, reason or "") for processor, events, reason in rows}
