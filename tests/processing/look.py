"""Publishing and looking, for the tests of the executor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fundlyhub import publish_events
from tests.processing.conftest import Query
from tests.support.make import search
from tests.support.processors import TestCountProcessor

EFFECTS = "SELECT position FROM analytics.test_effects ORDER BY position"
CLAIMS = "SELECT position FROM analytics.processed_events ORDER BY position"
ATTEMPTS = "SELECT position, attempts, error_class FROM events.attempts ORDER BY position"
LETTERS = "SELECT position, error_class, error_message, attempts, state FROM events.dead_letters ORDER BY position"


def publish(*words: str) -> list[int]:
    return [event.position or 0 for event in publish_events(search(word) for word in words)]


def by_sql(query: Query, kind: str, payload: str, version: str = "1.0.0", **columns: Any) -> int:
    """An event that enters by SQL, as it is; its position."""
    event = query("SELECT events.publish_event(%s, %s::jsonb, version => %s)", kind, payload, version)[0][0]
    for column, value in columns.items():
        query(f"UPDATE events.events SET {column} = %s WHERE id = %s", value, event)
    return int(query("SELECT position FROM events.events WHERE id = %s", event)[0][0])


def positions(rows: Sequence[tuple[Any, ...]]) -> list[int]:
    return [row[0] for row in rows]


class Counting(TestCountProcessor, register=False):
    """Base of the processors that tests define here: an effect of their own, or a fault."""
