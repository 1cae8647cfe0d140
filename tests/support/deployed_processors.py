"""A processor that works or fails as a row says: a release that is wrong for a while, and is rolled back."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from fundlyhub.events import Event
from fundlyhub.processing import ProjectionProcessor

TABLE = "CREATE TABLE analytics.test_release (broken boolean); INSERT INTO analytics.test_release VALUES (false)"
BREAK = "UPDATE analytics.test_release SET broken = true"
ROLL_BACK = "UPDATE analytics.test_release SET broken = false"
_EFFECT = "INSERT INTO test_effects SELECT %(name)s, unnest(%(positions)s::bigint[]), 0"


class TestDeployedProcessor(ProjectionProcessor):
    """Writes a row for each event, unless its release is wrong."""

    __test__ = False
    handles = ("search.**",)
    batch_size = 50

    def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
        """All of them, or a bug."""
        if db.exec_driver_sql("SELECT broken FROM test_release").scalar_one():
            raise KeyError("a bug of this release")
        db.exec_driver_sql(_EFFECT, {"name": self.name, "positions": [event.position for event in events]})
