"""The collector: what lands in RabbitMQ's dead queue is taken up, and no message is a verdict on its events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from celery import Celery
from kombu import Connection, Queue

from fundlyhub.embedded.valkey import Valkey
from fundlyhub.processing.executor import execute
from fundlyhub.processing.publisher import Publisher
from fundlyhub.processing.queues import DEAD_QUEUE, DELIVERY_LIMIT, PARKED_QUEUE, depths
from fundlyhub.processing.routing import Batch
from fundlyhub.relay.collecting.collector import Collector
from fundlyhub.settings import get_settings
from fundlyhub.testing.databases import environment_of
from tests.processing.look import ATTEMPTS, CLAIMS, LETTERS, publish
from tests.support.brokers import broker_place
from tests.support.platform import wait_until
from tests.support.processors import TABLES, TestCountProcessor
from tests.support.rabbitmq import RabbitNode

pytestmark = pytest.mark.rabbitmq


class Broker:
    """A place in RabbitMQ, a collector, and the work queue's messages in our own hands."""

    def __init__(self, dsn: str) -> None:

        self.db = psycopg.connect(dsn, autocommit=True)
        self.db.execute(TABLES)
        app = Celery("collector", broker=get_settings().broker)
        app.conf.task_default_exchange_type = "topic"  # the package's own may have been read for another broker
        self.publisher = Publisher(app)
        self.collector = Collector(app, get_settings(), {"test_count": TestCountProcessor})
        self.connection = Connection(get_settings().broker)

    def send(self, positions: Sequence[int]) -> None:
        """One message for the processor."""
        self.publisher.send([Batch((TestCountProcessor,), tuple(positions))])

    def refuse(self, *, requeue: bool = False, times: int = 1) -> None:
        """A worker that gives a message back, so often."""
        for _ in range(times):
            with self.connection.channel() as channel:
                queue = Queue("projections", no_declare=True)(channel)
                wait_until(queue.get, what="the message").reject(requeue=requeue)

    def dead(self) -> None:
        """Wait until a message is in the dead queue."""
        wait_until(lambda: self.depth(DEAD_QUEUE), what="the dead queue")

    def depth(self, queue: str) -> int:
        """Messages that wait in a queue."""
        return depths(self.connection, True, [queue])[queue]

    def taken(self) -> list[Any]:
        """The arguments of the messages in the work queue, which is empty then."""
        found = []
        with self.connection.channel() as channel:
            queue = Queue("projections", no_declare=True)(channel)
            while (message := queue.get()) is not None:
                (positions,), options, _ = message.decode()
                found.append((positions, options))
                message.ack()
        return found

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows."""
        return self.db.execute(sql.encode()).fetchall()


@pytest.fixture
def broker(dsn: str, valkey: Valkey, rabbitmq: RabbitNode, tmp_path: Path) -> Iterator[Broker]:
    """RabbitMQ with nothing in it."""
    with broker_place(rabbitmq) as url, environment_of(dsn, valkey, tmp_path, FUNDLYHUB_BROKER_URL=url):
        ready = Broker(dsn)
        yield ready
        ready.collector.close()
        ready.publisher.close()
        ready.connection.release()
        ready.db.close()


def test_what_no_worker_took_waits_for_one_and_spends_no_attempt(broker: Broker) -> None:
    sent = publish("a", "b")
    broker.send(sent)
    broker.refuse()
    broker.dead()
    assert broker.collector.collect() == 1
    assert broker.query(ATTEMPTS) == [(sent[0], 0, "NoWorker"), (sent[1], 0, "NoWorker")]
    assert broker.query(LETTERS) == []
    assert broker.depth(DEAD_QUEUE) == 0
    broker.query("UPDATE events.attempts SET next_at = now() - interval '1 minute' RETURNING 1")
    assert execute(TestCountProcessor, sent).outcomes == {"done": 2}


def test_what_no_worker_takes_for_too_long_is_a_dead_letter(broker: Broker) -> None:
    (position,) = publish("a")
    for _ in range(2):
        broker.send([position])
        broker.refuse()
        broker.dead()
        assert broker.collector.collect() == 1
        broker.query("UPDATE events.attempts SET first_seen = first_seen - interval '25 hours' RETURNING 1")
    ((at, error, text, _, state),) = broker.query(LETTERS)
    assert (at, error, state) == (position, "NoWorker", "open")
    assert "no worker took its message" in text
    assert broker.query(ATTEMPTS) == []


def test_applied_events_and_dead_letters_are_left_alone(broker: Broker) -> None:
    sent = publish("a", "permanent", "b")
    execute(TestCountProcessor, sent[:2])
    letters = broker.query(LETTERS)
    broker.send(sent)
    broker.refuse()
    broker.dead()
    broker.collector.collect()
    assert broker.query(ATTEMPTS) == [(sent[2], 0, "NoWorker")]
    assert broker.query(LETTERS) == letters


def test_a_batch_that_was_delivered_too_often_goes_on_event_by_event(broker: Broker) -> None:
    sent = publish("a", "b", "c")
    execute(TestCountProcessor, sent[:1])
    broker.send(sent)
    broker.refuse(requeue=True, times=DELIVERY_LIMIT + 1)
    broker.dead()
    broker.collector.collect()
    assert broker.taken() == [([sent[1]], {"careful": True}), ([sent[2]], {"careful": True})]
    assert broker.query(LETTERS) == broker.query(ATTEMPTS) == []


def test_an_event_alone_that_was_delivered_too_often_is_a_dead_letter(broker: Broker) -> None:
    (position,) = publish("a")
    broker.send([position])
    broker.refuse(requeue=True, times=DELIVERY_LIMIT + 1)
    broker.dead()
    broker.collector.collect()
    ((at, error, text, attempts, state),) = broker.query(LETTERS)
    assert (at, error, attempts, state) == (position, "DeliveryLimit", 1, "open")
    assert "delivered too often" in text
    assert broker.query("SELECT type FROM events.dead_letters") == [("search.query.submitted",)]


def test_an_event_that_waits_is_not_given_up_with_its_message(broker: Broker) -> None:
    """Its run was settled, and the broker took no new message of the worker's: the sweep sends it when it is due."""
    (position,) = publish("transient")
    execute(TestCountProcessor, [position])
    broker.send([position])
    broker.refuse(requeue=True, times=DELIVERY_LIMIT + 1)
    broker.dead()
    broker.collector.collect()
    assert broker.query(LETTERS) == []
    assert broker.query(ATTEMPTS) == [(position, 1, "Transient")]


def test_an_event_that_cannot_be_read_is_kept_too(broker: Broker) -> None:
    broker.query("SELECT events.publish_event('search.query.submitted', '{\"query\": 7}'::jsonb)")
    ((position,),) = broker.query("SELECT position FROM events.events")
    broker.send([position])
    broker.refuse()
    broker.dead()
    broker.collector.collect()
    assert broker.query(ATTEMPTS) == [(position, 0, "NoWorker")]


def test_a_message_of_a_processor_that_is_not_known_here_is_parked(broker: Broker) -> None:
    (position,) = publish("a")

    class Newer(TestCountProcessor, register=False):
        name = "newer"

    broker.publisher.send([Batch((Newer,), (position,))])
    broker.refuse()
    broker.dead()
    assert broker.collector.collect() == 1
    assert (broker.depth(DEAD_QUEUE), broker.depth(PARKED_QUEUE)) == (0, 1)
    assert broker.query(ATTEMPTS) == broker.query(CLAIMS) == broker.query(LETTERS) == []


def test_a_shared_message_is_divided_among_its_processors_that_are_known_here(broker: Broker) -> None:
    class Newer(TestCountProcessor, register=False):
        name = "newer"

    sent = publish("a", "b")
    broker.publisher.send([Batch((Newer, TestCountProcessor), tuple(sent))])
    broker.refuse()
    broker.dead()
    assert broker.collector.collect() == 1
    assert (broker.depth(DEAD_QUEUE), broker.depth(PARKED_QUEUE)) == (0, 0)
    assert broker.taken() == [(sent, {"careful": True})]
    assert execute(TestCountProcessor, sent, careful=True).outcomes == {"done": 2}


def test_a_message_stays_in_the_dead_queue_while_the_log_is_away(broker: Broker) -> None:
    broker.send(publish("a"))
    broker.refuse()
    broker.dead()
    name = f"away_{uuid4().hex[:8]}"
    broker.db.execute(f"ALTER TABLE events.attempts RENAME TO {name}".encode())
    with pytest.raises(Exception, match="attempts"):
        broker.collector.collect()
    broker.collector.close()
    wait_until(lambda: broker.depth(DEAD_QUEUE) == 1, what="the message")
    broker.db.execute(f"ALTER TABLE events.{name} RENAME TO attempts".encode())
    assert broker.collector.collect() == 1
    assert len(broker.query(ATTEMPTS)) == 1
