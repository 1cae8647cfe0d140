"""A pause stops a batch that is under way between two events: nothing half done, and no attempt charged."""

from __future__ import annotations

import time
from typing import ClassVar

import pytest
from sqlalchemy import Connection

from fundlyhub import Event
from fundlyhub.database import get_engine
from fundlyhub.processing import pauses
from fundlyhub.processing.executor import execute
from fundlyhub.processing.pause_watch import LOOK
from fundlyhub.processing.processor import Processor
from tests.processing.conftest import Query
from tests.processing.look import ATTEMPTS, CLAIMS, EFFECTS, Counting, positions, publish


class Meanwhile(Counting, register=False):
    """Applies event by event; somebody pauses it while it is at the third."""

    name = "meanwhile"
    ran: ClassVar[list[int]] = []

    handle_batch = Processor.handle_batch

    def handle(self, event: Event, db: Connection) -> None:
        self.ran.append(event.position or 0)
        Counting.handle_batch(self, [event], db)
        if len(self.ran) == 3:
            with get_engine("events").begin() as log:
                pauses.pause_by_hand(log, "meanwhile", who="ann", reason="a test")
            time.sleep(LOOK)


@pytest.fixture(autouse=True)
def fresh() -> None:
    Meanwhile.ran.clear()


def resume() -> None:
    with get_engine("events").begin() as log:
        pauses.end_by_hand(log, "meanwhile", who="ann", reason="over")


def test_a_batch_in_one_transaction_is_rolled_back_and_run_when_the_pause_is_over(query: Query) -> None:
    sent = publish(*["fine"] * 10)
    report = execute(Meanwhile, sent)
    assert (report.outcomes, report.resend) == ({"held": 10}, [])
    assert Meanwhile.ran == sent[:3]
    assert query(EFFECTS) == query(CLAIMS) == query(ATTEMPTS) == []
    resume()
    assert execute(Meanwhile, sent).outcomes == {"done": 10}
    assert positions(query(EFFECTS)) == sent


def test_a_batch_that_runs_event_by_event_keeps_what_it_has_applied(query: Query) -> None:
    sent = publish("bug", *["fine"] * 9)
    report = execute(Meanwhile, sent)
    assert report.outcomes == {"done": 1, "retry": 1, "held": 8}  # the first one was run in the batch, and alone
    assert positions(query(EFFECTS)) == positions(query(CLAIMS)) == sent[1:2]
    assert query(ATTEMPTS) == [(sent[0], 1, "KeyError")]


def test_a_careful_run_stops_too(query: Query) -> None:
    sent = publish(*["fine"] * 10)
    report = execute(Meanwhile, sent, careful=True)
    assert (report.outcomes, report.resend) == ({"done": 3, "held": 7}, [])
    assert positions(query(CLAIMS)) == sent[:3]
    assert query(ATTEMPTS) == []


def test_what_had_waited_before_is_due_at_once_when_the_pause_is_over(query: Query) -> None:
    sent = publish(*["fine"] * 5)
    query(
        "INSERT INTO events.attempts (processor, position, attempts, first_seen, next_at, error_class) "
        "VALUES ('meanwhile', %s, 2, now(), now(), 'Transient')",
        sent[4],
    )
    assert execute(Meanwhile, sent).outcomes == {"held": 5}
    assert query("SELECT attempts, error_class, next_at <= now() FROM events.attempts") == [(2, "Transient", True)]
    resume()
    assert execute(Meanwhile, sent).outcomes == {"done": 5}
    assert query(ATTEMPTS) == []
