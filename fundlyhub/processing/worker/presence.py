"""A heartbeat for workers on Redis: which queues they consume. RabbitMQ knows its consumers by itself.

A heartbeat is forgotten soon, so that a killed worker is not counted. It is sent from the loop that takes messages up:
a worker that has lost its broker sends none.
"""

from __future__ import annotations

import os
from logging import getLogger
from typing import Any

from celery import bootsteps

from fundlyhub.processing.queues import CONSUMERS_KEY
from fundlyhub.settings import get_settings

log = getLogger(__name__)

EVERY = 5.0
"""Seconds between two heartbeats. Three of them may be lost: see ``queues.CONSUMER_SILENCE``."""

# By the server's clock; what was said an hour ago by a worker that is no more is swept out.
_SAY = """
    local now = tonumber(redis.call('TIME')[1])
    for _, key in ipairs(KEYS) do
        redis.call('ZADD', key, now, ARGV[1])
        redis.call('ZREMRANGEBYSCORE', key, '-inf', now - 3600)
        redis.call('EXPIRE', key, 3600)
    end
"""


class Presence(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery's steps have no types
    """Runs while the worker's consumer does."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        self._timer: Any = None
        super().__init__(consumer, **options)

    def include_if(self, consumer: Any) -> bool:
        """Only where the broker itself does not know."""
        return not get_settings().broker_is_amqp

    def start(self, consumer: Any) -> None:
        """Send a heartbeat now, and regularly."""
        say(consumer)
        self._timer = consumer.timer.call_repeatedly(EVERY, say, (consumer,))

    def stop(self, consumer: Any) -> None:
        """Send no more. Nothing is deleted: the broker may be what hangs, and the heartbeat expires soon."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    shutdown = stop


def say(consumer: Any) -> None:
    """Note that this worker consumes its queues now."""
    keys = [CONSUMERS_KEY.format(queue=queue.name) for queue in consumer.task_consumer.queues]
    try:
        # Not the channel's own client: on its line the worker waits for messages, and would take one for the answer.
        with consumer.connection.default_channel.conn_or_acquire() as client:
            client.eval(_SAY, len(keys), *keys, _name(consumer))
    except (*consumer.connection_errors, OSError) as error:  # the consumer notices by itself
        log.debug("cannot say which queues are consumed (%s)", type(error).__name__)


def _name(consumer: Any) -> str:
    return f"{consumer.hostname}:{os.getpid()}"
