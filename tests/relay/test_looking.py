"""Looking at parked and dead messages removes none, although RabbitMQ counts each look as a delivery in vain."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from kombu import Connection, Producer

from fundlyhub.embedded.valkey import Valkey
from fundlyhub.processing.broker_connections import line
from fundlyhub.processing.queues import DEAD_QUEUE, PARKED_QUEUE, declare, depths
from fundlyhub.relay.collecting.dead_queue import DELIVERY_LIMIT, DeadQueue, reason_of
from fundlyhub.relay.collecting.parked import parking_queue
from fundlyhub.settings import Settings
from fundlyhub.testing.databases import environment_of
from tests.support.brokers import broker_place
from tests.support.platform import wait_until
from tests.support.rabbitmq import RabbitNode

pytestmark = pytest.mark.rabbitmq

LIMIT = 20
"""Deliveries after which RabbitMQ 4 drops a message, if its queue names no limit of its own."""
LOOKS = 2 * LIMIT + 5
DEATH = {"x-death": [{"reason": DELIVERY_LIMIT, "queue": "projections", "count": 1}]}


@pytest.fixture
def broker(dsn: str, valkey: Valkey, rabbitmq: RabbitNode, tmp_path: Path) -> Iterator[Settings]:
    """A place in RabbitMQ that drops messages as RabbitMQ 4 does by default; 3.10 does so by a policy."""
    with broker_place(rabbitmq) as url, environment_of(dsn, valkey, tmp_path, FUNDLYHUB_BROKER_URL=url) as settings:
        vhost = urlsplit(url).path.lstrip("/")
        rabbitmq.ctl("set_policy", "--vhost", vhost, "limit", "^fundlyhub\\.(dead|parked)$",
                     f'{{"delivery-limit": {LIMIT}}}', "--apply-to", "queues")  # fmt: skip
        yield settings


def put(settings: Settings, queue: str, headers: dict[str, object]) -> None:
    with line(settings, confirm=True) as connection:
        declare(connection, amqp=True)
        Producer(connection.channel(), auto_declare=False).publish(
            b"{", exchange="", routing_key=queue, headers=headers, content_type="application/json", delivery_mode=2
        )
        wait_until(lambda: depths(connection, True, [queue])[queue] == 1, what="the message")


def wait_there(connection: Connection, queue: str, number: int) -> None:
    """What was given back is there again, or is lost."""
    wait_until(lambda: depths(connection, True, [queue])[queue] == number, timeout=20, what=f"{number} messages")


def test_a_parked_message_may_be_looked_at_as_often_as_one_likes(broker: Settings) -> None:
    put(broker, PARKED_QUEUE, {"task": "gone", "x-fundlyhub-reason": "why", "x-fundlyhub-queue": "elsewhere"})
    for _ in range(LOOKS):
        with parking_queue(broker) as queue:
            (one,) = queue.look(10)
            assert (one.task, one.reason, one.queue, one.body) == ("gone", "why", "elsewhere", b"{")
            wait_until(lambda: queue.depth()[PARKED_QUEUE] == 1, timeout=20, what="the message to be back")
            assert queue.release(10) == 0, "nobody knows where it belongs"
            wait_until(lambda: queue.depth()[PARKED_QUEUE] == 1, timeout=20, what="the message to be back")


def test_a_dead_message_waits_for_a_database_as_long_as_it_takes(broker: Settings) -> None:
    put(broker, DEAD_QUEUE, {"task": "projections.test_count", **DEATH})
    with line(broker) as watching:
        for _ in range(LOOKS):
            dead = DeadQueue(broker)
            message = dead.get()
            assert message is not None
            assert reason_of(message) == DELIVERY_LIMIT
            assert message.body == b"{"
            dead.close()  # as after any error
            wait_there(watching, DEAD_QUEUE, 1)
