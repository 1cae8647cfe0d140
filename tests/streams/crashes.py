"""The boundaries of an entry's way at which an ingest is killed, and what must be so afterwards."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

from tests.streams.entries import MALFORMED, message, short, whole
from tests.streams.streams import GROUP, Streams
from tests.support.proxy.trap import When
from tests.support.proxy.wire import Side

GOOD = 75
BROKEN = 4


@dataclass(frozen=True, slots=True)
class Boundary:
    """``pattern`` is what passes there between an ingest and a server: ``queue`` is Valkey, ``database`` PostgreSQL."""

    name: str
    line: Literal["queue", "database"]
    pattern: str
    nth: int = 1
    side: Side = "client"


BOUNDARIES = (
    Boundary("group", "queue", "^XGROUP CREATE events:stream "),
    Boundary("read", "queue", r"(?s)^reply to EVAL\s+-- Gives.* > \d+ \d+ \d+$", side="server"),
    Boundary("take-over", "queue", "^reply to XAUTOCLAIM events ", side="server"),
    Boundary("insert", "database", "^SELECT n, stored_position", nth=3),
    Boundary("quarantine", "database", "^WITH kept AS", nth=2),
    Boundary("commit", "database", "^COMMIT of .*events.append_events", nth=3),
    Boundary("acknowledgement", "queue", "^XACK events", nth=3),
    Boundary("trim", "queue", r"^EVAL\s+-- Drops"),
)
"""In the order of an entry's way."""


def die_and_recover(streams: Streams, boundary: Boundary, when: When) -> float:
    """An ingest dies there; another one finds everything, once, and what a third had been given before that, too.

    The monotonic time of its death.
    """
    load(streams)
    trap = getattr(streams, boundary.line).kill(boundary.pattern, when, side=boundary.side, nth=boundary.nth)
    victim = streams.launch(INGEST_BATCH="10", INGEST_TRIM="true")
    trap.wait()
    assert trap.victim == victim.popen.pid
    died = time.monotonic()
    victim.kill()
    streams.ingest(INGEST_BATCH="10", INGEST_TRIM="true")
    streams.wait_taken(GOOD, BROKEN)
    assert len(set(streams.ids())) == GOOD
    return died


def load(streams: Streams) -> None:
    """All layouts, some of it wrong, some of it given to a consumer that is dead."""
    said = [whole() for _ in range(40)]
    for at in (5, 15, 25, 35):
        said.insert(at, MALFORMED["a version that is none"][0])
    streams.write_all(said)
    streams.redis.xgroup_create("events", GROUP, id="0")
    streams.ghost(8, idle=60)
    streams.write_all((short() for _ in range(20)), "events:stream")
    streams.write_all((message() for _ in range(15)), "fundlyhub-events")
