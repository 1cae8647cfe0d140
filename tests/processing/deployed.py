"""A processor that one release breaks and the next one mends, and its pauses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import pytest
from sqlalchemy import Connection

from fundlyhub import Event
from fundlyhub.database import get_engine
from fundlyhub.processing import pauses
from fundlyhub.processing.pauses import Pause
from tests.processing.look import Counting

PAUSES = "SELECT kind, who, reason, failed FROM events.processor_pauses WHERE ended_at IS NULL"
AUDIT = "SELECT action, kind, who FROM events.processor_pause_audit ORDER BY id"
SPENT = "SELECT count(*), coalesce(sum(attempts), 0) FROM events.attempts"


class Deployed(Counting, register=False):
    """What a wrong release does to each event, and a right one does not."""

    name = "deployed"
    broken: ClassVar[Exception | None] = None
    runs: ClassVar[list[int]] = []

    def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
        type(self).runs += [event.position or 0 for event in events]
        if self.broken is not None:
            raise self.broken
        super().handle_batch(events, db)


@pytest.fixture
def deployed() -> Iterator[None]:
    """The processor is sound when a test begins, and sound again after it."""
    Deployed.broken = None
    Deployed.runs.clear()
    yield
    Deployed.broken = None


def pause() -> Pause | None:
    with get_engine("events").connect() as db:
        return pauses.in_force(db, "deployed")


def probe(*given: int) -> None:
    """What the relay does when the time has come."""
    with get_engine("events").begin() as db:
        db.exec_driver_sql("UPDATE events.processor_pauses SET probe_at = clock_timestamp()")
        found = pauses.in_force(db, "deployed")
        assert found is not None
        assert pauses.start_probe(db, found, given)
