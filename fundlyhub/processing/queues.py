"""The queues: quorum queues with a dead-letter exchange on RabbitMQ, plain lists on Valkey and Redis.

On RabbitMQ the exchange is a topic exchange, since only then do countdowns use the broker's own delayed
delivery; its bindings are ``#.KEY``, so that keys are one word and carry our name, or another application's
messages in the same virtual host would end here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, get_args

from amqp import exceptions as amqp_errors
from kombu import Connection, Exchange
from kombu import Queue as Declaration

from fundlyhub.processing.processor import Queue

QUEUES: tuple[Queue, ...] = get_args(Queue)
KEYED = frozenset({"writes", "notifications", "broadcasts"})
"""Queues whose processors hash addresses, which takes ``FUNDLYHUB_SECRET_KEY``."""
EXCHANGE = "fundlyhub"
DEAD_EXCHANGE = "fundlyhub.dlx"
DEAD_QUEUE = "fundlyhub.dead"
PARKED_QUEUE = "fundlyhub.parked"
"""Messages that cannot be read, until a person looks at them."""
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

CONSUMERS_KEY = "fundlyhub:consumers:{queue}"
"""On Redis: a sorted set of the workers that consume a queue, by the time when they said so."""
CONSUMER_SILENCE = 20
"""Seconds after its last heartbeat at which a worker on Redis counts as dead."""


class Seen(NamedTuple):
    """Messages that wait in a queue, and workers that consume it."""

    messages: int
    consumers: int


def declarations(amqp: bool) -> list[Declaration]:
    """The work queues, as Celery's ``task_queues``."""
    exchange = Exchange(EXCHANGE, type="topic" if amqp else "direct", durable=True)
    return [
        Declaration(
            name, exchange, routing_key=routing_key(name), durable=True, queue_arguments=_WORK if amqp else None
        )
        for name in QUEUES
    ]


def routing_key(queue: Queue) -> str:
    """The key that leads to a queue."""
    return f"{EXCHANGE}-{queue}"


@contextmanager
def channel_of(connection: Connection, amqp: bool) -> Iterator[Any]:
    """A channel for a moment. On Redis it is the one that was made with the connection.

    Each of Redis has sockets of its own: making one would wait for a server that hangs, where nobody could cut it off.
    """
    if not amqp:
        yield connection.default_channel
        return
    with connection.channel() as channel:
        yield channel


def declare(connection: Connection, amqp: bool) -> None:
    """Declare all queues and exchanges; what exists stays as it is.

    The dead queue is not among Celery's queues, since a worker without ``-Q`` would consume it, and it
    comes first: a message must not die before there is a place for it.
    """
    with channel_of(connection, amqp) as channel:
        if amqp:
            exchange = Exchange(DEAD_EXCHANGE, type="topic", durable=True)
            Declaration(DEAD_QUEUE, exchange, routing_key=DEAD_QUEUE, queue_arguments=_QUORUM)(channel).declare()
            Declaration(PARKED_QUEUE, queue_arguments=_QUORUM)(channel).declare()
        for queue in declarations(amqp):
            queue(channel).declare()


def depths(connection: Connection, amqp: bool, names: Sequence[str] = QUEUES) -> dict[str, int]:
    """Messages that wait in each of these queues; by default, in the work queues."""
    with channel_of(connection, amqp) as channel:
        if not amqp:  # an empty list is no key there, so that asking for it by declaration is an error
            return {name: channel._size(name) for name in names}
        return {name: channel.queue_declare(name, passive=True).message_count for name in names}


def seen(connection: Connection, amqp: bool, names: Sequence[str] = QUEUES) -> dict[str, Seen]:
    """What each of these queues holds and how many workers consume it; by default, the work queues.

    RabbitMQ knows a killed worker at once; on Redis it is missed after ``CONSUMER_SILENCE``. A queue that is not
    declared yet is empty.
    """
    return _declared(connection, names) if amqp else _listed(connection, names)


def _declared(connection: Connection, names: Sequence[str]) -> dict[str, Seen]:
    """On RabbitMQ, which closes a channel that asks for a queue that is not there: the next one is asked on another."""
    found: dict[str, Seen] = {}
    channel = None
    for name in names:
        channel = channel or connection.channel()
        try:
            told = channel.queue_declare(name, passive=True)
            found[name] = Seen(told.message_count, told.consumer_count)
        except amqp_errors.NotFound:
            found[name], channel = Seen(0, 0), None
    if channel is not None:
        channel.close()
    return found


def _listed(connection: Connection, names: Sequence[str]) -> dict[str, Seen]:
    """On Redis, where a queue has a list for each priority: all of them are asked for at once."""
    with channel_of(connection, amqp=False) as channel:
        since = int(channel.client.time()[0]) - CONSUMER_SILENCE
        lists = {name: [channel._q_for_pri(name, step) for step in channel.priority_steps] for name in names}
        with channel.client.pipeline(transaction=False) as asked:
            for name in names:
                asked.zcount(CONSUMERS_KEY.format(queue=name), since, "+inf")
                for one in lists[name]:
                    asked.llen(one)
            answers = iter(asked.execute())
    return {name: _of(next(answers), [next(answers) for _ in lists[name]]) for name in names}


def _of(consumers: int, messages: Sequence[int]) -> Seen:
    return Seen(sum(messages), consumers)
