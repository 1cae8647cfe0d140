"""The relay alone: positions a second from a full log into a broker that nobody reads, and its memory."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

from benchmarks.rows.ours import Ours
from benchmarks.stage import Failed, Place, Stage
from benchmarks.usage import Memory
from fundlyhub.relay.cursor import NOTHING_SEEN

_CURSOR = "SELECT after, target IS NULL AND seen::text <> %s, moved_at FROM events.relay_cursors WHERE name = 'main'"
PATIENCE = 120.0


def measure(stage: Stage, row: Ours, file: Path, count: int) -> dict[str, float]:
    """One run. The clock is the cursor's ``moved_at``, from the first page that was seen to the end of the log."""
    with stage.place(row.broker, row.backlog(stage, file, count)) as place:
        relay = row.start_relay(place)
        with Memory({"relay": relay.popen.pid}, interval=0.2) as memory:
            (first, began), (last, ended) = _begin_and_end(place, count)
        if last != count:
            raise Failed(f"the relay passed {last} of {count} positions")
    return {
        "events_per_s": (count - first) / (ended - began).total_seconds(),
        "relay_mb": memory.peaks["relay"],
    }


def _begin_and_end(place: Place, count: int) -> tuple[tuple[int, datetime], tuple[int, datetime]]:
    """Position and time when the relay was first seen moving, and when it was through."""
    begin: tuple[int, datetime] | None = None
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        row = place.db.execute(_CURSOR, (NOTHING_SEEN,)).fetchone()
        if row is not None:
            after, through, moved = row
            if begin is None and after:
                begin = after, moved
            if through:
                if begin is None:
                    raise Failed(f"the relay was through {count:,} positions before anybody saw it begin")
                return begin, (int(place.value("SELECT max(position) FROM events.events")), moved)
        place.check_alive()
        time.sleep(0.005)
    raise Failed(f"the relay was not through {count:,} positions in {PATIENCE:.0f} s")
