"""The average team's Celery: an outbox that a relay polls with SKIP LOCKED, and one task for each event."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence

from celery import Celery

from benchmarks.peers import work
from benchmarks.peers.work import Event

POLL = 0.5
"""Seconds between two looks at an empty outbox."""
PAGE = 100

_NEXT = """
    SELECT id, event FROM bench.outbox WHERE sent_at IS NULL ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED
"""
_SENT = "UPDATE bench.outbox SET sent_at = now() WHERE id = ANY ($1)"
PUT = "INSERT INTO bench.outbox (event) VALUES ($1)"

SETTINGS = {
    "task_acks_late": True,
    "task_ignore_result": True,
    "task_default_queue": "events",
    "broker_connection_retry_on_startup": True,
}

app = Celery("average", broker=work.REDIS)
app.conf.update(SETTINGS)


@app.task(name="apply", shared=False)  # else it would be a task of every app
def apply(event: Event) -> None:
    """One event's effect."""
    work.apply(event)


def relay(deliver: Callable[[Event], object] = apply.delay) -> None:
    """Move rows of the outbox into the queue, one task each unless ``deliver`` makes others of a row."""
    db = work.connect()
    while True:
        with db.transaction():
            rows = db.execute(_NEXT, (PAGE,)).fetchall()
            for _, event in rows:
                deliver(event)
            if rows:
                db.execute(_SENT, ([row[0] for row in rows],))
        if not rows:
            time.sleep(POLL)


def fill(file: str) -> None:
    """Rows of the outbox."""
    with work.connection().cursor() as cursor, cursor.copy("COPY bench.outbox (event) FROM STDIN") as copy:
        for line in work.lines(file):
            copy.write_row((line,))


def publish(events: Sequence[Event]) -> None:
    """Business row and outbox row."""
    db = work.connection()
    with db.transaction():
        for event in events:
            db.execute(work.BUSINESS, work.business(event))
            db.execute(PUT, (json.dumps(event),))


if __name__ == "__main__":
    if sys.argv[1:] == ["relay"]:
        relay()
    work.main(work=relay, fill=fill, publish=publish)
