"""The sweep: what left no trace is sent again, once, and not while it is most likely still waiting."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import redis
from celery import Celery

from fundlyhub import publish_events
from fundlyhub.database import connect
from fundlyhub.processing.executor import execute
from fundlyhub.relay.cursor import LostLeadership, SnapshotCursor
from fundlyhub.relay.registration import register
from fundlyhub.relay.sweep import Sweeper
from fundlyhub.settings import Settings
from tests.support.make import search
from tests.support.processors import TABLES, TestCountProcessor

PROCESSORS = {"test_count": TestCountProcessor}


class Swept:
    """A log whose relay has handed everything over to a broker that lost it, and a clock."""

    def __init__(self, app: Celery, settings: Settings, db: psycopg.Connection[Any]) -> None:
        db.execute(TABLES)
        register(db, PROCESSORS)
        self.db, self.now = db, 0.0
        self.main = SnapshotCursor.take(db, "main")
        self.cursors = {"test_count": SnapshotCursor.take(db, "sweep:test_count")}
        self.sweeper = Sweeper(app, settings, PROCESSORS, self.main.epoch)
        self.broker = redis.Redis.from_url(settings.broker)
        self.broker.flushall()

    def publish(self, *words: str) -> list[int]:
        """Events that the relay is done with."""
        positions = [event.position or 0 for event in publish_events(search(word) for word in words)]
        self.main.open()
        self.main.move(None)
        return positions

    def sweep(self, after: float) -> None:
        """One round, so many seconds later."""
        self.now += after
        self.sweeper.sweep(self.db, self.cursors, now=self.now)

    def taken(self) -> list[list[int]]:
        """The positions of the messages in the queue, which is empty then."""
        messages = []
        while (raw := self.broker.rpop("projections")) is not None:
            assert isinstance(raw, bytes)
            body = json.loads(raw)
            messages.append(json.loads(base64.b64decode(body["body"]))[0][0])
        return messages

    def waiting(self) -> int:
        """Messages in the queue."""
        return int(self.broker.llen("projections"))


@pytest.fixture
def swept(settings: Settings) -> Iterator[Swept]:
    """A sweeper with a grace of 10 seconds."""
    from fundlyhub.celery import make_app

    with connect("events", autocommit=True) as db:
        yield Swept(make_app(), settings.model_copy(update={"sweep_grace": 10.0}), db)


def test_what_left_no_trace_is_sent_again_after_the_grace(swept: Swept) -> None:
    lost = swept.publish("a", "b", "c")
    swept.sweep(0)
    swept.sweep(5)
    assert swept.taken() == []
    swept.sweep(6)
    assert swept.taken() == [lost]


def test_what_is_sent_again_is_not_sent_twice_within_the_grace(swept: Swept) -> None:
    lost = swept.publish("a")
    swept.sweep(0)
    swept.sweep(11)
    assert swept.taken() == [lost]
    swept.sweep(5)
    assert swept.taken() == []
    swept.sweep(6)
    assert swept.taken() == [lost]


def test_while_its_queue_holds_messages_an_event_is_most_likely_in_there(swept: Swept) -> None:
    swept.publish("a")
    swept.sweep(0)
    swept.sweep(11)
    assert swept.waiting() == 1
    for _ in range(3):
        swept.sweep(11)
    assert swept.waiting() == 1


def test_a_queue_that_is_never_empty_is_no_excuse_for_ever(swept: Swept) -> None:
    swept.publish("a")
    swept.db.execute("UPDATE events.events SET recorded_at = recorded_at - interval '2 hours'")
    swept.broker.lpush("projections", "something else")
    swept.sweep(0)
    swept.sweep(11)
    assert swept.waiting() == 2


def test_claims_dead_letters_and_attempts_are_traces(swept: Swept) -> None:
    sent = swept.publish("fine", "permanent", "snooze", "fine")
    execute(TestCountProcessor, sent[:3])
    swept.sweep(0)
    swept.sweep(11)
    assert swept.taken() == [[sent[3]]]


def test_a_resolved_letter_without_its_claim_is_no_trace(swept: Swept) -> None:
    """The Analytics DB was restored to a time before the replay."""
    sent = swept.publish("permanent", "permanent")
    execute(TestCountProcessor, sent)
    swept.db.execute("UPDATE events.dead_letters SET state = 'resolved' WHERE position = %s", (sent[0],))
    swept.sweep(0)
    swept.sweep(11)
    assert swept.taken() == [[sent[0]]]


def test_what_is_settled_is_not_looked_at_again(swept: Swept) -> None:
    execute(TestCountProcessor, swept.publish("a", "b"))
    before = swept.cursors["test_count"].seen
    swept.sweep(0)
    swept.sweep(11)
    assert swept.cursors["test_count"].seen != before
    swept.db.execute("DELETE FROM analytics.processed_events")
    swept.sweep(11)
    assert swept.taken() == []


def test_a_long_wait_ends_when_it_is_due(swept: Swept) -> None:
    sent = swept.publish("snooze", "snooze")
    execute(TestCountProcessor, sent)
    swept.sweep(0)
    assert swept.taken() == []
    swept.db.execute("UPDATE events.attempts SET next_at = now() - interval '1 minute' WHERE position = %s", (sent[0],))
    swept.sweep(1)
    assert swept.taken() == [[sent[0]]]
    swept.sweep(1)
    assert swept.taken() == []


def test_a_sweeper_whose_relay_has_lost_the_lead_stops(swept: Swept) -> None:
    swept.publish("a")
    SnapshotCursor.take(swept.db, "main")
    with pytest.raises(LostLeadership):
        swept.sweep(0)


def test_a_processor_that_cannot_tell_whether_it_has_more_to_do_holds_up_no_other(
    swept: Swept, settings: Settings
) -> None:
    from fundlyhub.celery import make_app

    class Broken(TestCountProcessor, register=False):
        name = "broken"

        @classmethod
        def has_more(cls) -> bool:
            raise KeyError("someone@example.org")

    class Behind(TestCountProcessor, register=False):
        name = "has_more_to_do"

        @classmethod
        def has_more(cls) -> bool:
            return True

    both: dict[str, type[TestCountProcessor]] = {"broken": Broken, "has_more_to_do": Behind}
    register(swept.db, both)
    cursors = {name: SnapshotCursor.take(swept.db, f"sweep:{name}") for name in both}
    Sweeper(make_app(), settings, both, swept.main.epoch).sweep(swept.db, cursors, now=0.0)
    assert swept.taken() == [[]]
