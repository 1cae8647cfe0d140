"""Dead letters for tests: events that a processor gave up on, and short ways to look at them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from fundlyhub import Event
from fundlyhub.database import get_engine
from fundlyhub.errors import Permanent
from fundlyhub.processing import dead_letters
from fundlyhub.processing.dead_letters import Changes
from fundlyhub.processing.executor import execute
from tests.processing.look import Counting, publish
from tests.support.processors import TestCountProcessor

STATES = "SELECT state FROM events.dead_letters ORDER BY position"
AUDIT = "SELECT who, action, details FROM events.dead_letter_audit ORDER BY id"


class Broken(Counting, register=False):
    """The counting processor before its fault was mended."""

    name = "test_count"

    def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
        """Never works."""
        raise Permanent("a fault of ours")


def dead(*words: str) -> list[int]:
    """Ids of letters of searches for these words, which the processor can do now if the words are harmless."""
    positions = publish(*words)
    execute(Broken, positions)
    query = "SELECT id FROM events.dead_letters WHERE position = ANY (%(positions)s) ORDER BY position"
    with get_engine("events").begin() as db:
        return list(db.exec_driver_sql(query, {"positions": positions}).scalars())


def run(name: str, positions: Sequence[int]) -> None:
    """A broker and a worker in one: what is sent is executed at once."""
    assert name == TestCountProcessor.name
    execute(TestCountProcessor, positions, ends_wait=True)


def nowhere(name: str, positions: Sequence[int]) -> None:
    """A broker whose workers are away."""


def discard(*ids: int, **given: Any) -> Changes:
    """Discard letters in a transaction of its own."""
    with get_engine("events").begin() as db:
        return dead_letters.discard(db, ids, **{"who": "ann", "reason": "not worth it", **given})


def restore(*ids: int) -> Changes:
    """Open them again."""
    with get_engine("events").begin() as db:
        return dead_letters.restore(db, ids, who="ann")


def correct(letter: int, payload: Any, **given: Any) -> dead_letters.Corrected:
    """Correct a payload in a transaction of its own."""
    with get_engine("events").begin() as db:
        return dead_letters.correct(db, letter, payload, **{"who": "ann", **given})
