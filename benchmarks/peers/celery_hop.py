"""Celery by itself: a task that does nothing. What no event that goes through Celery can beat."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from celery import Celery

from benchmarks.peers import work
from benchmarks.peers.celery_outbox import SETTINGS

app = Celery("hop", broker=work.REDIS)
app.conf.update(SETTINGS)


@app.task(name="hop", shared=False)
def hop(sent: float) -> None:
    """Note how many milliseconds ago it was sent; both processes read one machine's clock."""
    with Path(os.environ["BENCH_HOPS"]).open("a") as out:
        out.write(f"{(time.monotonic() - sent) * 1000}\n")


def send(count: int, rate: float) -> None:
    """Make this many calls, at a steady rate."""
    start = time.monotonic()
    for tick in range(count):
        time.sleep(max(0.0, start + tick / rate - time.monotonic()))
        hop.delay(time.monotonic())


if __name__ == "__main__":
    send(int(sys.argv[1]), float(sys.argv[2]))
