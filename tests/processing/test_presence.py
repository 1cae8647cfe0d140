"""A worker on Redis says which queues it consumes, on a line of its own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import redis
from kombu import Connection, Consumer, Queue

from fundlyhub.embedded.valkey import Valkey
from fundlyhub.processing.queues import CONSUMERS_KEY
from fundlyhub.processing.worker.presence import say
from fundlyhub.settings import Settings
from tests.support.platform import wait_until


def test_a_message_that_comes_while_it_is_said_is_not_taken_for_the_answer(settings: Settings, valkey: Valkey) -> None:
    got: list[Any] = []
    server = redis.Redis.from_url(valkey.url)
    with Connection(valkey.url) as connection, Connection(valkey.url) as other:
        channel = connection.default_channel
        queue = Queue("presence", channel=channel)
        queue.declare()
        consumer = Consumer(channel, [queue], callbacks=[lambda body, message: got.append(body)], no_ack=True)
        consumer.consume()
        channel.client.connection = channel.client.connection_pool.get_connection()
        channel._brpop_start()  # as a worker's loop waits
        other.Producer().publish("a batch", routing_key="presence")
        wait_until(lambda: not server.exists("presence"), what="the message on its way to the worker")
        say(SimpleNamespace(connection=connection, task_consumer=consumer, connection_errors=(), hostname="worker"))
        channel._brpop_read()
        assert got == ["a batch"]
        assert server.zcard(CONSUMERS_KEY.format(queue="presence")) == 1
