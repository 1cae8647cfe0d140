"""Growth: whether publishing, the relay's window, claims and the reads of a rebuild slow down as the log grows."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from uuid import uuid4

import psycopg

from benchmarks.data import gifts
from benchmarks.measures.publishing import checked
from benchmarks.stage import Place, Stage
from fundlyhub import Event, publish_events
from fundlyhub.database import connect, get_engine
from fundlyhub.events import read
from fundlyhub.processing.idempotency import claim
from fundlyhub.relay.claims.partitions import make_ahead
from fundlyhub.relay.cursor import SnapshotCursor
from fundlyhub.settings import get_settings
from tests.support.databases import settings_of

CHUNK = 500_000
"""Events in one statement while the log is made to grow."""
PAGE = 5_000
BATCH = 500
ROUNDS = 5

_GROW = """
    INSERT INTO events.events (id, type, version, aggregate_type, aggregate_id, payload, occurred_at)
    SELECT gen_random_uuid(), 'donation.completed', '2.0.0', 'donation', n::text, jsonb_build_object(
               'donationId', gen_random_uuid(), 'campaignId', gen_random_uuid(), 'donorId', gen_random_uuid(),
               'amount', mod(n, 500) + 1, 'currency', 'USD', 'netAmount', mod(n, 500) + 1, 'paymentProvider', 'stripe',
               'transactionId', 'pi_' || n), now()
    FROM generate_series(1, %s) n
"""
_CLAIM_ALL = """
    INSERT INTO analytics.processed_events (processor, position, event_id)
    SELECT 'growth', position, id FROM events.events WHERE position > %s AND position <= %s
"""
_START = """
    INSERT INTO events.relay_cursors (name, system_identifier, seen)
    SELECT 'growth', system_identifier, pg_current_snapshot() FROM pg_control_system()
    ON CONFLICT (name) DO UPDATE SET seen = excluded.seen, target = NULL, after = 0
"""


def measure(stage: Stage, small: int, large: int) -> Iterator[tuple[str, dict[str, float]]]:
    """Rates at both sizes, by step, and the share of the speed that is lost."""
    with stage.place() as place:
        ours = {name: value for name, value in place.environment.items() if name.startswith("FUNDLYHUB_")}
        with settings_of({**ours, "FUNDLYHUB_STATEMENT_TIMEOUT": "3600"}):
            grow(place, small)
            before = steps(place)
            grow(place, large)
            after = steps(place)
    for step, rate in before.items():
        yield step, {"small_per_s": rate, "large_per_s": after[step], "lost": 1 - after[step] / rate}


def grow(place: Place, events: int) -> None:
    """Fill the log, and with it the claims, up to so many events; without fsync, which is none of what is measured."""
    with psycopg.connect(place.dsn, autocommit=True) as db:
        db.execute("ALTER SYSTEM SET fsync = off")
        db.execute("SELECT pg_reload_conf()")
        with connect("analytics", autocommit=True) as claims:
            make_ahead(claims, events, get_settings().claims_partition)  # as the relay's keeper would
        there = place.value("SELECT coalesce(max(position), 0) FROM events.events")
        while there < events:
            db.execute(_GROW, (min(CHUNK, events - there),))
            now = place.value("SELECT max(position) FROM events.events")
            db.execute(_CLAIM_ALL, (there, now))
            there = now
        db.execute("VACUUM ANALYZE")
        db.execute("ALTER SYSTEM RESET fsync")
        db.execute("SELECT pg_reload_conf()")
        db.execute("CHECKPOINT")


def steps(place: Place) -> dict[str, float]:
    """Events a second of each step, medians of some rounds."""
    rates: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        with connect("events", autocommit=True) as db:
            db.execute(_START)
            new = [Event.of(checked(gift), id=uuid4(), timestamp=datetime.now(UTC)) for gift in gifts(4 * PAGE)]
            ones, many = new[:BATCH], new[BATCH:]
            _timed(rates, "publish, 1 a transaction", len(ones), partial(_publish_each, ones))
            published: list[Event] = []
            _timed(rates, "publish, many", len(many), lambda: published.extend(publish_events(many)))  # noqa: B023
            _timed(rates, "the relay's window", len(new), partial(_read_window, db, len(new)))
            _timed(rates, "claims", len(published), partial(_claim, published))
            _timed(rates, "reads of a rebuild", 4 * PAGE, partial(_read_log, place))
    return {step: statistics.median(values) for step, values in rates.items()}


def _timed(rates: dict[str, list[float]], step: str, count: int, action: Callable[[], object]) -> None:
    """Without the garbage collector: it passes all that former steps have made, whenever it likes."""
    gc.collect()
    gc.disable()
    try:
        began = time.perf_counter()
        action()
        rates.setdefault(step, []).append(count / (time.perf_counter() - began))
    finally:
        gc.enable()


def _publish_each(events: list[Event]) -> None:
    for event in events:
        publish_events([event])


def _read_window(db: psycopg.Connection, wanted: int) -> None:
    cursor = SnapshotCursor.take(db, "growth")
    found = 0
    while cursor.open() and cursor.window:
        rows = cursor.page(PAGE)
        found += len(rows)
        cursor.move(rows[-1][0] if len(rows) == PAGE else None)
    assert found == wanted, f"the window held {found} events and not {wanted}"


def _claim(events: list[Event]) -> None:
    for start in range(0, len(events), BATCH):
        with get_engine("analytics").begin() as db:
            fresh = claim(db, "growth", events[start : start + BATCH])
            assert len(fresh) == len(events[start : start + BATCH])


def _read_log(place: Place) -> None:
    """Pages from all over the log, as a rebuild meets them."""
    head = place.value("SELECT max(position) FROM events.events")
    with get_engine("events").begin() as db:
        for page in range(4):
            first = head * page // 4
            assert len(read(db, range(first + 1, first + PAGE + 1))) == PAGE
