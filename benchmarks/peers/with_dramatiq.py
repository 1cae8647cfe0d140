"""dramatiq on Valkey: messages sent after the commit, since they cannot be part of it."""

from __future__ import annotations

from collections.abc import Sequence

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from benchmarks.peers import work
from benchmarks.peers.work import Event

dramatiq.set_broker(RedisBroker(url=work.REDIS))


@dramatiq.actor(queue_name="events")
def apply(event: Event) -> None:
    """One event's effect; each thread has its connection."""
    work.apply(event)


def fill(file: str) -> None:
    """Messages, one by one: it has no other way."""
    for event in work.events(file):
        apply.send(event)


def publish(events: Sequence[Event]) -> None:
    """Business rows, and then the messages."""
    db = work.connection()
    with db.transaction():
        for event in events:
            db.execute(work.BUSINESS, work.business(event))
    for event in events:
        apply.send(event)


if __name__ == "__main__":
    work.main(work=lambda: None, fill=fill, publish=publish)
