"""Publishes a stream at a steady rate through `publish_events`, each event in the transaction of its business row."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.peers import work
from benchmarks.publisher import checked, connection
from benchmarks.rows.whole import OursWhole
from fundlyhub import Event, publish_events

_CHANGES = "INSERT INTO bench.changes (event_id, type) SELECT * FROM unnest(%s::uuid[], %s::text[])"


def publish(events: Sequence[Event]) -> None:
    """One transaction."""
    db = connection()
    with db.transaction():
        db.execute(_CHANGES, ([event.id for event in events], [event.type for event in events]))
        publish_events(events, session=db)


def applied() -> int:
    """Effects so far."""
    row: Any = connection().execute(OursWhole.done).fetchone()
    return int(row[0])


if __name__ == "__main__":
    file, rate, seconds, warm, effects = sys.argv[1:]
    work.pace(
        file, float(rate), float(seconds), publish, applied, prepare=checked, warm=int(warm), effects=int(effects)
    )
