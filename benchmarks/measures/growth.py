"""Growth: whether publishing, the relay's window, claims and the reads of a rebuild slow down as the log grows."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from uuid import UUID, uuid4

import psycopg

from benchmarks.data import gifts
from benchmarks.measures.publishing import checked
from benchmarks.stage import Place, Stage
from fundlyhub import Event, publish_events
from fundlyhub.database import connect, get_engine
from fundlyhub.events import read
from fundlyhub.processing.claims import claim
from fundlyhub.relay.cursor import SnapshotCursor
from fundlyhub.retention.claims.partitions import make_ahead
from fundlyhub.settings import get_settings
from fundlyhub.testing.databases import settings_of

CHUNK = 500_000
"""Events in one statement while the log is made to grow."""
PAGE = 5_000
BATCH = 500
ROUNDS = 7

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
    """Of each round and step, the rates at both sizes and the share of the speed that is lost.

    The two logs stand beside each other and take turns, so that what changes on the machine falls on both.
    """
    with stage.place() as one, stage.place() as other:
        for place, events in ((one, small), (other, large)):
            with _settings(place):
                grow(place, events)
        for _ in range(ROUNDS):
            before, after = steps(one), steps(other)
            for step, rate in before.items():
                yield step, {"small_per_s": rate, "large_per_s": after[step], "lost": 1 - after[step] / rate}


def _settings(place: Place) -> AbstractContextManager[None]:
    ours = {name: value for name, value in place.environment.items() if name.startswith("FUNDLYHUB_")}
    return settings_of({**ours, "FUNDLYHUB_STATEMENT_TIMEOUT": "3600"})


def grow(place: Place, events: int) -> None:
    """Fill the log, and with it the claims, up to this many events.

    Most of it without fsync, which is none of what is measured; the last chunk after a checkpoint, so that the steps
    meet a busy server as it is between two checkpoints. (A page that is changed for the first time after one goes
    into the WAL as a whole; random ids change any page of their index.)
    """
    with psycopg.connect(place.dsn, autocommit=True) as db:
        with connect("analytics", autocommit=True) as claims:
            make_ahead(claims, events, get_settings().claims_partition)  # as the relay's keeper would
        db.execute("ALTER SYSTEM SET fsync = off")
        db.execute("SELECT pg_reload_conf()")
        _fill(place, db, events - CHUNK)
        db.execute("ALTER SYSTEM RESET fsync")
        db.execute("SELECT pg_reload_conf()")
        db.execute("CHECKPOINT")
        _fill(place, db, events)
        db.execute("VACUUM ANALYZE")
    os.sync()  # or else the system writes all of it while the steps wait for their commits


def _fill(place: Place, db: psycopg.Connection, events: int) -> None:
    there = place.value("SELECT coalesce(max(position), 0) FROM events.events")
    while there < events:
        db.execute(_GROW, (min(CHUNK, events - there),))
        now = place.value("SELECT max(position) FROM events.events")
        db.execute(_CLAIM_ALL, (there, now))
        there = now


def steps(place: Place) -> dict[str, float]:
    """Events a second of each step, once."""
    rates: dict[str, float] = {}
    with _settings(place), connect("events", autocommit=True) as db:
        for branch in ("events", "analytics"):
            get_engine(branch).connect().close()  # so that no step is the one that connects
        db.execute(_START)
        ones, many, theirs = _events(BATCH), _events(2 * PAGE), _events(2 * PAGE - BATCH, uuid4)
        published: list[Event] = []
        with _timed(rates, "publish, 1 a transaction", len(ones)):
            _publish_each(ones)
        with _timed(rates, "publish, many", len(many)):
            published += publish_events(many)
        with _timed(rates, "publish, many with random ids", len(theirs)):
            published += publish_events(theirs)
        with _timed(rates, "the relay's window", len(ones + published)):
            _read_window(db, len(ones + published))
        with _timed(rates, "claims", len(published)):
            _claim(published)
        with _timed(rates, "reads of a rebuild", 4 * PAGE):
            _read_log(place)
    return rates


def _events(count: int, new_id: Callable[[], UUID | None] = lambda: None) -> list[Event]:
    """With the ids that ours get, or with those of a producer that makes its own."""
    return [Event.of(checked(gift), id=new_id(), timestamp=datetime.now(UTC)) for gift in gifts(count)]


@contextmanager
def _timed(rates: dict[str, float], step: str, count: int) -> Iterator[None]:
    """Without the garbage collector: it passes all that former steps have made, whenever it likes."""
    gc.collect()
    gc.disable()
    try:
        began = time.perf_counter()
        yield
        rates[step] = count / (time.perf_counter() - began)
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
