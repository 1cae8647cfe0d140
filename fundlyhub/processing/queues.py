"""The queues: quorum queues with a dead-letter exchange on RabbitMQ, plain lists on Valkey and Redis.

On RabbitMQ the exchange is a topic exchange, since only then do countdowns use the broker's own delayed
delivery; its bindings are ``#.KEY``, so that keys are one word and carry our name, or another application's
messages in the same virtual host would end here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from kombu import Connection, Exchange
from kombu import Queue as Declaration

from fundlyhub.processing.processor import Queue

QUEUES: tuple[Queue, ...] = get_args(Queue)
EXCHANGE = "fundlyhub"
DEAD_EXCHANGE = "fundlyhub.dlx"
DEAD_QUEUE = "fundlyhub.dead"
PARKED_QUEUE = "fundlyhub.parked"
"""Messages that nobody can make sense of, until a person looks at them."""
DELIVERY_LIMIT = 50
"""Deliveries of one message before RabbitMQ gives up on it: far above the attempts of all its events,
so that it is the last line and not the first."""

_QUORUM: dict[str, Any] = {"x-queue-type": "quorum"}
_WORK: dict[str, Any] = {
    **_QUORUM,
    "x-delivery-limit": DELIVERY_LIMIT,
    "x-dead-letter-exchange": DEAD_EXCHANGE,
    "x-dead-letter-routing-key": DEAD_QUEUE,
    # Nothing is dropped between two queues: at-least-once wants reject-publish.
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
}


def declarations(amqp: bool) -> list[Declaration]:
    """The work queues, as Celery's ``task_queues``."""
    exchange = Exchange(EXCHANGE, type="topic" if amqp else "direct", durable=True)
    return [
        Declaration(
            name,
            exchange,
            routing_key=routing_key(name),
            durable=True,
            queue_arguments=_WORK if amqp else None,
        )
        for name in QUEUES
    ]


def routing_key(queue: Queue) -> str:
    """The key that leads to a queue."""
    return f"{EXCHANGE}-{queue}"


def declare(connection: Connection, amqp: bool) -> None:
    """Declare all queues and exchanges; what exists stays as it is.

    The dead queue is not among Celery's queues, since a worker without ``-Q`` would consume it, and it
    comes first: a message must not die before there is a place for it.
    """
    with connection.channel() as channel:
        if amqp:
            exchange = Exchange(DEAD_EXCHANGE, type="topic", durable=True)
            Declaration(DEAD_QUEUE, exchange, routing_key=DEAD_QUEUE, queue_arguments=_QUORUM)(channel).declare()
            Declaration(PARKED_QUEUE, queue_arguments=_QUORUM)(channel).declare()
        for queue in declarations(amqp):
            queue(channel).declare()


def give_up(connection: Connection | None) -> None:
    """Release a connection; never raises."""
    if connection is not None:
        try:
            connection.release()
        except Exception:  # it is broken, most likely: that is why it is given up
            connection.collapse()


def depths(connection: Connection, amqp: bool, names: Sequence[str] = QUEUES) -> dict[str, int]:
    """Messages that wait in each of these queues; by default, in the work queues."""
    with connection.channel() as channel:
        if not amqp:  # an empty list is no key there, so that asking for it by declaration is an error
            return {name: channel._size(name) for name in names}
        return {name: channel.queue_declare(name, passive=True).message_count for name in names}
