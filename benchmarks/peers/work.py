"""What the peers in Python share: the work itself, the file of events, and the command line with its verbs."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import psycopg

DSN = os.environ.get("BENCH_DSN", "")
REDIS = os.environ.get("BENCH_REDIS", "")
APPLY = (Path(__file__).parent / "apply.sql").read_text()
BUSINESS = "INSERT INTO bench.gifts (event_id, campaign_id, donor_id, amount) VALUES ($1, $2, $3, $4)"
_APPLIED = "SELECT (SELECT count(*) FROM bench.processed) + (SELECT count(*) FROM bench.handled)"
WARM = 20
"""Events that go ahead, so that nothing is measured before everything runs."""
PATIENCE = 60.0
"""Seconds that they may take."""

Event = dict[str, Any]
T = TypeVar("T")
_own = threading.local()


def connection() -> psycopg.Connection[Any]:
    """This thread's own, in autocommit."""
    if not hasattr(_own, "connection"):
        _own.connection = connect()
    return _own.connection  # type: ignore[no-any-return]


def connect() -> psycopg.Connection[Any]:
    """One that takes ``$1``."""
    return psycopg.connect(DSN, autocommit=True, cursor_factory=psycopg.RawCursor)


def given(event: Event) -> tuple[Any, ...]:
    """The parameters of ``APPLY``."""
    paid = event["payload"]
    return (
        event["id"], paid["donationId"], paid["campaignId"], paid["currency"], paid["donorId"], paid["amount"],
        event["at"],
    )  # fmt: skip


def business(event: Event) -> tuple[Any, ...]:
    """The parameters of ``BUSINESS``."""
    paid = event["payload"]
    return event["id"], paid["campaignId"], paid["donorId"], paid["amount"]


def apply(event: Event) -> None:
    """The whole effect of one event, in a transaction of its own."""
    connection().execute(APPLY, given(event), prepare=True)


def lines(file: str) -> Iterator[str]:
    """The events of a file, as JSON."""
    with Path(file).open() as text:
        yield from map(str.rstrip, text)


def events(file: str) -> Iterator[Event]:
    """The events of a file."""
    return map(json.loads, lines(file))


def chunks(items: Iterator[Any], size: int = 1_000) -> Iterator[list[Any]]:
    """Items in lists of this size."""
    while chunk := list(islice(items, size)):
        yield chunk


def pace(
    file: str,
    rate: float,
    seconds: float,
    publish: Callable[[Sequence[T]], object],
    applied: Callable[[], int],
    *,
    prepare: Callable[[Event], T],
    per: int = 1,
    warm: int = WARM,
    effects: int | None = None,
) -> None:
    """Publish at this rate, ``per`` events together, after a few whose ``effects`` are awaited, by default one of each.

    They are prepared beforehand, since in real life they come from many machines. Says as JSON how many were
    published, and how late the last one was.
    """
    given = iter([prepare(event) for event in islice(events(file), warm + int(rate * seconds))])
    for _ in range(warm):
        publish([next(given)])
    end = time.monotonic() + PATIENCE
    while applied() < (effects or warm):
        if time.monotonic() > end:
            sys.exit(f"the first {warm} events were not applied within {PATIENCE:.0f} s")
        time.sleep(0.05)
    start, count, late = time.monotonic(), int(rate * seconds / per), 0.0
    for tick in range(count):
        late = time.monotonic() - (start + tick * per / rate)
        if late < 0:
            time.sleep(-late)
        publish(list(islice(given, per)))
    print(json.dumps({"warm": warm, "published": count * per, "late_s": round(max(0.0, late), 3)}))


def count_applied() -> int:
    """How many effects there are."""
    row = (
        connection()
        .execute("SELECT (SELECT count(*) FROM bench.processed) + (SELECT count(*) FROM bench.handled)")
        .fetchone()
    )
    return int(row[0]) if row else 0


def main(
    *,
    work: Callable[[], object],
    fill: Callable[[str], object],
    publish: Callable[[Sequence[Event]], object],
    setup: Callable[[], object] = lambda: None,
) -> None:
    """Do what the command line says."""
    match sys.argv[1:]:
        case ["setup"]:
            setup()
        case ["fill", file]:
            fill(file)
        case ["work"]:
            work()
        case ["publish", file, rate, seconds]:
            pace(file, float(rate), float(seconds), publish, count_applied, prepare=lambda event: event)
        case ["publish", file, rate, seconds, warm, effects]:
            pace(file, float(rate), float(seconds), publish, count_applied, prepare=lambda event: event,
                 warm=int(warm), effects=int(effects))  # fmt: skip
        case _:
            raise SystemExit("setup | fill FILE | work | publish FILE RATE SECONDS [WARM EFFECTS]")
