"""A processor that shares messages with ``test_count``, and misbehaves at words of its own."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence

from sqlalchemy import Connection

from fundlyhub.errors import Permanent
from fundlyhub.events import Event
from tests.support.processors import EFFECT, TestCountProcessor


class TestTwinProcessor(TestCountProcessor):
    """Takes a moment for each batch, so that a kill falls into the middle of a shared transaction."""

    __test__ = False

    def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
        """One row an event, unless its text says what to do."""
        for event in events:
            word = getattr(event.payload, "query", "")
            if word == "kill the twin":
                os.kill(os.getpid(), signal.SIGKILL)
            if word == "refuse the twin":
                raise Permanent("not by the twin")
        db.exec_driver_sql(EFFECT, {"name": self.name, "positions": [event.position for event in events]})
        time.sleep(0.05)
