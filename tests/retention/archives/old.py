"""A log whose events are old and settled, or not, and short ways to archive and restore them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg

from fundlyhub import publish_events
from fundlyhub.events.log import head
from fundlyhub.processing.executor import execute
from fundlyhub.relay.cursor import SnapshotCursor
from fundlyhub.relay.registration import register
from fundlyhub.retention import log_marks
from fundlyhub.retention.archives.archive import Archived, Tell, archive
from fundlyhub.retention.archives.restore import restore
from tests.retention.claims.kept import values
from tests.support.make import search
from tests.support.processors import TABLES, TestCountProcessor

HORIZON = timedelta(days=2)
PROCESSORS = {"test_count": TestCountProcessor}
AGED = "UPDATE events.log_marks SET taken_at = taken_at - interval '31 days'"
# A row as it stands, with its transaction's id.
WHOLE = "SELECT e::text FROM events.events e ORDER BY position"
POSITIONS = "SELECT position FROM events.events ORDER BY position"
IDS = "SELECT position FROM events.event_ids ORDER BY position"
STATES = "SELECT low, high, deleted, finished_at IS NOT NULL, restored_at IS NOT NULL, restored_by FROM events.archives"
KNOWN = "SELECT id, position FROM events.events UNION SELECT id, position FROM events.event_ids"
MANY = """
    INSERT INTO events.events (id, type, version, payload, occurred_at)
    SELECT gen_random_uuid(), 'search.query.submitted', '1.0.0', jsonb_build_object('query', 'fine', 'n', n), now()
    FROM generate_series(1, %s) AS n
"""


def nobody(what: str, done: int, total: int) -> None:
    """Nobody wants to know."""


def during(what: str, act: Callable[[], object]) -> Tell:
    """Somebody acts once, at the first sign of a step."""
    acted = False

    def tell(step: str, done: int, total: int) -> None:
        nonlocal acted
        if step == what and not acted:
            acted = True
            act()

    return tell


class Old:
    """``events`` is a connection that commits each statement; ``folder`` is where files go."""

    def __init__(self, events: psycopg.Connection[Any], folder: Path) -> None:
        self.events, self.folder = events, folder
        events.execute(TABLES)
        register(events, PROCESSORS)
        self.readers = {name: SnapshotCursor.take(events, name) for name in ("main", "sweep:test_count")}

    def publish(self, *words: str) -> list[int]:
        """Events; what their words say is what becomes of them."""
        positions = [event.position or 0 for event in publish_events(search(word) for word in words)]
        execute(TestCountProcessor, positions)
        return positions

    def many(self, count: int) -> None:
        """So many events, in one statement."""
        self.events.execute(MANY, (count,))

    def age(self) -> None:
        """All that is in the log is old."""
        log_marks.take(self.events, head(self.events), every=0)
        self.events.execute(AGED)

    def read(self, *names: str) -> None:
        """These readers, by default all, pass what is in the log; the event that moves them comes after it."""
        self.publish("fine")
        for name in names or self.readers:
            self.readers[name].open()
            self.readers[name].move(None)

    def settled(self, *words: str) -> list[int]:
        """Events that are old, and that all have passed."""
        positions = self.publish(*words)
        self.age()
        self.read()
        return positions

    def archive(self, wanted: int, tell: Tell = nobody) -> Archived:
        """Archive up to there, as far as it may be."""
        return archive(self.events, wanted, HORIZON, self.folder, who="ann", tell=tell)

    def archived(self, wanted: int, tell: Tell = nobody) -> Path:
        """The file of an archive."""
        written = self.archive(wanted, tell).written
        assert written is not None
        return written.file

    def restore(self, file: Path) -> int:
        """Bring it back."""
        return restore(self.events, file, who="bob", tell=nobody)

    def whole(self) -> list[str]:
        """All rows of the log as they stand."""
        return values(self.events, WHOLE)

    def positions(self) -> list[int]:
        """The positions that the log has."""
        return values(self.events, POSITIONS)

    def ids(self) -> list[int]:
        """The positions of the ids that are kept."""
        return values(self.events, IDS)

    def known(self) -> set[tuple[Any, int]]:
        """All ids, wherever they are, with their positions."""
        return set(self.events.execute(KNOWN).fetchall())

    def files(self) -> Sequence[str]:
        """What is in the folder."""
        return sorted(path.name for path in self.folder.iterdir())


def lines(file: Path) -> list[dict[str, Any]]:
    """The lines of an archive."""
    with gzip.open(file) as text:
        return [json.loads(line) for line in text]
