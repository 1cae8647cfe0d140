"""The mirror: copies chosen events to capped Redis streams, at least once, for live subscribers in any language.

It reads the log with a cursor of its own, so an outage of Redis holds up only its subscribers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import psycopg
import redis

from fundlyhub.database import connect, get_engine
from fundlyhub.errors import InvalidEvent
from fundlyhub.events import Event, StoredEvent, read_in_portions
from fundlyhub.forks import in_each_process
from fundlyhub.redis_servers import redis_at
from fundlyhub.relay.background_thread import Companion
from fundlyhub.relay.cursor import SnapshotCursor
from fundlyhub.relay.mirror_config import CHANNEL, Mirrored
from fundlyhub.settings import Settings

NAME = "mirror"
PAGE = 1_000
"""Events that go out at a time."""
PATIENCE = 5.0
"""Seconds that Redis has to answer."""
REST = 2.0
"""Seconds between two tries while something is away."""

# It begins with what is published from now on: subscribers want live events.
_BEGIN = """
    INSERT INTO events.relay_cursors (name, system_identifier, seen)
    SELECT %s, system_identifier, pg_current_snapshot() FROM pg_control_system()
    ON CONFLICT (name) DO NOTHING
"""


class Mirror(Companion):
    """Without chosen types it does nothing.

    Its end is not awaited: what it sends after its relay has lost the lead is sent again by the next leader.
    """

    name = NAME
    patience = 1.0

    def __init__(self, settings: Settings) -> None:
        super().__init__(REST)
        self._settings, self._mirrored = settings, Mirrored(settings.mirror)
        in_each_process(self._begin)

    def _begin(self) -> None:
        self._redis: redis.Redis | None = None

    def work(self) -> None:
        """Mirror, page by page."""
        if not self._mirrored:
            return
        with connect("events", settings=self._settings, autocommit=True) as db:
            cursor = take(db)
            while not self._stop.is_set():
                if not self.mirror(cursor):
                    self._stop.wait(self._settings.relay_poll)

    def close(self) -> None:
        """Leave Redis."""
        if self._redis is not None:
            self._redis.close()

    def mirror(self, cursor: SnapshotCursor) -> int:
        """Send one page of the log and note that it is done with; the number of events that were looked at."""
        if not cursor.open():
            return 0
        rows = cursor.page(PAGE)
        wanted = [position for position, kind, _ in rows if self._mirrored.wants(kind)]
        if wanted:
            self._send(wanted)
        cursor.move(rows[-1][0] if len(rows) == PAGE else None)
        return len(rows)

    def _send(self, positions: Sequence[int]) -> None:
        with get_engine("events").connect() as db:
            for rows in read_in_portions(db, positions):
                with self._client().pipeline(transaction=False) as pipe:
                    for kind, entry in self._entries(rows):
                        pipe.xadd(f"{CHANNEL}{kind}", entry, maxlen=self._settings.mirror_length, approximate=True)
                    pipe.execute()

    def _entries(self, rows: Sequence[StoredEvent]) -> Iterator[tuple[str, dict[Any, Any]]]:
        """The entries; an event that cannot be read is a dead letter elsewhere, and nothing to show."""
        for row in rows:
            with suppress(InvalidEvent):
                event = Event.stored(row)
                yield event.type, self._mirrored.entry(event)

    def _client(self) -> redis.Redis:
        if self._redis is None:
            self._redis = redis_at(self._settings.streams, patience=PATIENCE, client_name="fundlyhub-mirror")
        return self._redis


def take(db: psycopg.Connection[Any]) -> SnapshotCursor:
    """The mirror's cursor, made at the log's end if need be."""
    db.execute(_BEGIN, (NAME,))
    return SnapshotCursor.take(db, NAME)
