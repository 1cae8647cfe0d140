"""A processor whose events all fail a few times before they pass, and that keeps count in the database."""

from __future__ import annotations

from sqlalchemy import Connection

from fundlyhub.database import connect
from fundlyhub.errors import Transient
from fundlyhub.events import Event
from fundlyhub.processing import ProjectionProcessor

FAILURES = 3
"""Runs of each event that fail."""

TABLE = "CREATE TABLE analytics.test_failures (position bigint)"
_RUN = "INSERT INTO test_failures VALUES (%s)"
_RUNS = "SELECT count(*) FROM test_failures WHERE position = %s"
_EFFECT = "INSERT INTO test_effects VALUES (%(name)s, %(position)s, 0)"


class TestFailingProcessor(ProjectionProcessor):
    """Fails so often, then writes a row."""

    __test__ = False
    handles = ("search.**",)
    batch_size = 20
    max_attempts = 20
    backoff = 2.0
    backoff_limit = 6.0
    pause_after = None  # all of them fail, and are to be retried

    def handle(self, event: Event, db: Connection) -> None:
        """Its count of failures is kept, although its transaction is not."""
        with connect("analytics", autocommit=True) as apart:
            (runs,) = apart.execute(_RUNS, (event.position,)).fetchone() or (0,)
            if runs < FAILURES:
                apart.execute(_RUN, (event.position,))
                raise Transient("not yet")
        db.exec_driver_sql(_EFFECT, {"name": self.name, "position": event.position})
