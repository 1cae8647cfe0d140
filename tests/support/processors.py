"""Processors that only tests load: one that counts, one that kills its worker, one that hangs, one that fails.

They write into tables that the platform fixture makes in the schema analytics.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence

from sqlalchemy import Connection

from fundlyhub.database import get_engine
from fundlyhub.errors import Permanent, Snooze, Transient
from fundlyhub.events import Event
from fundlyhub.processing import ProjectionProcessor

TABLES = """
    CREATE TABLE analytics.test_effects (processor text, position bigint, batch int);
    CREATE TABLE analytics.test_runs (position bigint);
    CREATE SEQUENCE analytics.test_batches;
"""

EFFECT = """
    INSERT INTO test_effects
    SELECT %(name)s, unnest(%(positions)s::bigint[]), nextval('test_batches')
"""


class TestCountProcessor(ProjectionProcessor):
    """Writes a row for each event, so that an event with two effects shows."""

    __test__ = False
    handles = ("donation.initiated", "search.**")
    batch_size = 100
    max_attempts = 5  # as few as a test can wait for

    def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
        """One row an event; some events misbehave, as their text tells."""
        for event in events:
            misbehave(getattr(event.payload, "query", ""), db)
        db.exec_driver_sql(EFFECT, {"name": self.name, "positions": [event.position for event in events]})


class TestSlowProcessor(ProjectionProcessor):
    """Takes a moment for each batch, so that a kill falls into the middle of one."""

    __test__ = False
    handles = ("donation.initiated",)
    batch_size = 20

    def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
        """Half of the effect, a pause, the other half."""
        positions = [event.position for event in events]
        middle = len(positions) // 2
        db.exec_driver_sql(EFFECT, {"name": self.name, "positions": positions[:middle]})
        time.sleep(0.05)
        db.exec_driver_sql(EFFECT, {"name": self.name, "positions": positions[middle:]})


def misbehave(word: str, db: Connection) -> None:
    """Do what a search term says."""
    match word:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            time.sleep(600)
        case "hang in sql":
            db.exec_driver_sql("SELECT pg_sleep(600)")
        case "hang in a lock":
            with get_engine("analytics").connect() as other:
                other.exec_driver_sql("LOCK TABLE test_runs")
                db.exec_driver_sql("LOCK TABLE test_runs")
        case "transient":
            raise Transient("not now")
        case "permanent":
            raise Permanent("never")
        case "snooze":
            raise Snooze("later", seconds=90)
        case "bug":
            raise KeyError("someone@example.org")
