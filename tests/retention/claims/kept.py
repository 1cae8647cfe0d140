"""A log with small partitions of claims, whose events can be made old and settled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import psycopg

from fundlyhub import publish_events
from fundlyhub.database import connect
from fundlyhub.events.log import head
from fundlyhub.processing.executor import execute
from fundlyhub.relay.cursor import SnapshotCursor
from fundlyhub.relay.keeper import judge
from fundlyhub.relay.registration import register
from fundlyhub.retention import log_marks
from fundlyhub.retention.claims.dropping import Verdict, drop
from fundlyhub.retention.claims.partitions import Partition, Range, existing, make_ahead
from tests.support.make import search
from tests.support.processors import TABLES, TestCountProcessor

SIZE = 10
RETENTION = timedelta(days=30)
PROCESSORS = {"test_count": TestCountProcessor}
EFFECTS = "SELECT position FROM analytics.test_effects ORDER BY position"


class Kept:
    """``events`` and ``db`` are connections to the log and to the claims."""

    def __init__(self, events: psycopg.Connection[Any], db: psycopg.Connection[Any]) -> None:
        self.events, self.db = events, db
        events.execute(TABLES)
        register(events, PROCESSORS)
        self.swept = SnapshotCursor.take(events, "sweep:test_count")
        cut(db)

    def publish(self, *words: str) -> list[int]:
        """Events; what their words say is what becomes of them."""
        return [event.position or 0 for event in publish_events(search(word) for word in words)]

    def applied(self, count: int) -> list[int]:
        """So many events that took effect."""
        positions = self.publish(*["fine"] * count)
        execute(TestCountProcessor, positions)
        return positions

    def age(self) -> None:
        """All that is in the log is older than the retention."""
        log_marks.take(self.events, head(self.events), every=0)
        self.events.execute("UPDATE events.log_marks SET taken_at = taken_at - interval '31 days'")

    def settle(self) -> None:
        """The sweep passes all that is in the log; the event that moves it comes after it."""
        self.applied(1)
        self.swept.open()
        self.swept.move(None)

    def judged(self) -> list[Verdict]:
        """All partitions, with what keeps them."""
        return judge(self.events, self.db, "analytics", PROCESSORS, RETENTION)

    def free(self) -> list[Range]:
        """The ranges that may be dropped."""
        return [one.partition.range for one in self.judged() if not one.kept_by]

    def first(self) -> Partition:
        """The oldest partition."""
        return existing(self.db)[0]

    def drop_first(self) -> Any:
        """Drop the oldest, whatever it holds."""
        return drop(self.db, self.first(), "ann")

    def effects(self) -> list[int]:
        """Positions that took effect, as often as they did."""
        return values(self.events, EFFECTS)


def cut(db: psycopg.Connection[Any], size: int = SIZE) -> None:
    """Small partitions in the place of the migration's large one, which is empty."""
    db.execute("DROP TABLE processed_events_0")
    make_ahead(db, 0, size)


def values(db: psycopg.Connection[Any], query: Any, *given: Any) -> list[Any]:
    """The first column of all rows."""
    return [row[0] for row in db.execute(query, given or None).fetchall()]


def names(db: psycopg.Connection[Any]) -> Sequence[str]:
    """The partitions, in order."""
    return [one.name for one in existing(db)]


def another() -> psycopg.Connection[Any]:
    """Another session in the database of the claims; it commits each statement."""
    return connect("analytics", autocommit=True)
