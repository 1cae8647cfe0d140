"""Processors of the chaos tests: effects that show when they are doubled, and handlers that do harm when asked."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.database import connect
from fundlyhub.errors import Permanent, Transient
from fundlyhub.events import Event
from fundlyhub.processing import ProjectionProcessor, WriteProcessor

TABLES = """
    CREATE TABLE analytics.chaos_effects (processor text, position bigint, event_id uuid, child int);
    CREATE TABLE analytics.chaos_rows (id int PRIMARY KEY, n int NOT NULL);
    INSERT INTO analytics.chaos_rows SELECT id, 0 FROM generate_series(1, 2) id;
    CREATE TABLE app.chaos_effects (processor text, position bigint, event_id uuid, child int);
"""
_EFFECT = """
    INSERT INTO chaos_effects
    SELECT %(name)s, position, id, %(child)s FROM unnest(%(positions)s::bigint[], %(ids)s::uuid[]) AS e(position, id)
"""
_ADD = "UPDATE chaos_rows SET n = n + 1 WHERE id = %s"


def _write(name: str, events: Sequence[Event], db: Connection) -> None:
    """One row an event: without a key, so that a second effect is a second row."""
    given = {
        "name": name, "child": os.getpid(),
        "positions": [event.position for event in events], "ids": [event.id for event in events],
    }  # fmt: skip
    db.exec_driver_sql(_EFFECT, given)


class ChaosSteadyProcessor(ProjectionProcessor):
    """Half of a batch, a pause, the other half: a fault falls into the middle of one."""

    handles = ("donation.initiated",)
    batch_size = 20

    def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
        """Some 800 events a second with two children."""
        middle = len(events) // 2
        _write(self.name, events[:middle], db)
        time.sleep(0.03)
        _write(self.name, events[middle:], db)


class ChaosWriteProcessor(WriteProcessor):
    """The same events in the other database."""

    handles = ("donation.initiated",)
    batch_size = 200

    def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
        """At once."""
        _write(self.name, events, db)


class ChaosBulkProcessor(ProjectionProcessor):
    """Batches of 500; a search's words say what goes wrong."""

    handles = ("search.query.submitted",)
    batch_size = 500
    max_attempts = 3
    backoff = 1.0
    pause_after = None  # many fail alike, and are to be retried

    def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
        """Do what the words say, then write."""
        for event in events:
            misbehave(event, getattr(event.payload, "query", ""))
        _write(self.name, events, db)


class ChaosRivalProcessor(ProjectionProcessor):
    """Small batches that get in each other's way: every second one locks the same two rows the other way round."""

    handles = ("search.query.submitted",)
    batch_size = 10

    def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
        """A deadlock, or a serialization failure, wherever two batches meet."""
        _write(self.name, events, db)
        match getattr(events[0].payload, "query", ""):
            case "deadlock":
                first = (events[0].position or 0) // self.batch_size % 2 + 1
                db.exec_driver_sql(_ADD, (first,))
                time.sleep(0.02)
                db.exec_driver_sql(_ADD, (3 - first,))
            case "serialize":
                _collide()


def _collide() -> None:
    """A serializable transaction beside the effect's own, which loses against the other child's; it keeps nothing."""
    with connect("analytics") as db:
        db.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        db.execute("SELECT n FROM chaos_rows WHERE id = 1")
        time.sleep(0.02)
        db.execute(_ADD, (1,))


def misbehave(event: Event, words: str) -> None:
    """What a handler with a fault does."""
    match words:
        case "flaky" if event.id not in _failed:  # once in each child
            _failed.add(event.id)
            raise Transient("not now")
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            time.sleep(600)
        case "leak":
            _leaked.append(b"x" * 10_000_000)
        case "never":
            raise Permanent("never")


_leaked: list[bytes] = []
_failed: set[UUID] = set()
