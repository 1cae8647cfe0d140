"""The parking queue, for operators: list messages that could not be read, send them again, or discard them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kombu import Connection, Message, Producer

from fundlyhub.processing.broker_connections import line
from fundlyhub.processing.messages import PARKED_AT, QUEUE, REASON, expand_nothing, put_back, take
from fundlyhub.processing.queues import DEAD_QUEUE, EXCHANGE, PARKED_QUEUE, QUEUES, declare, depths, routing_key
from fundlyhub.settings import Settings


@dataclass(frozen=True, slots=True)
class Parked:
    """A parked message. ``body`` is what it held: it may be anything, people's data too."""

    task: str
    queue: str
    reason: str
    parked_at: str
    body: bytes

    @classmethod
    def of(cls, message: Message) -> Parked:
        """What its headers say."""
        headers = message.headers or {}
        body = message.body.encode() if isinstance(message.body, str) else bytes(message.body or b"")
        task, queue, reason, at = (str(headers.get(name, "")) for name in ("task", QUEUE, REASON, PARKED_AT))
        return cls(task, queue, reason, at, body)


class ParkingQueue:
    """Its messages, through one connection."""

    def __init__(self, connection: Connection, settings: Settings) -> None:
        expand_nothing()
        self._connection, self._amqp = connection, settings.broker_is_amqp
        self._channel: Any = connection.channel()
        self._producer = Producer(self._channel, auto_declare=False)
        self._confirmed = {"mandatory": self._amqp, "confirm_timeout": settings.broker_timeout}

    def depth(self) -> dict[str, int]:
        """Messages in the parking queue and, on RabbitMQ, in the dead queue that the collector empties."""
        return depths(self._connection, self._amqp, [DEAD_QUEUE, PARKED_QUEUE] if self._amqp else [PARKED_QUEUE])

    def look(self, limit: int) -> list[Parked]:
        """The first messages; they stay where they are."""
        messages = list(self._take(limit))
        for message in messages:
            self._put_back(message)
        return [Parked.of(message) for message in messages]

    def release(self, limit: int) -> int:
        """Send messages to their queues again, for a release that can read them; how many.

        Those that came from no queue of ours stay. Each is in its queue before it leaves this one.
        """
        released, others = 0, []
        here = self.depth()[PARKED_QUEUE]  # a worker may park them again while this goes on
        for message in self._take(min(limit, here)):
            queue = Parked.of(message).queue
            if queue not in QUEUES:
                others.append(message)
                continue
            exchange, key = (EXCHANGE, routing_key(queue)) if self._amqp else ("", queue)
            self._producer.publish(
                message.body or b"", exchange=exchange, routing_key=key, headers=message.headers, delivery_mode=2,
                content_type=message.content_type, content_encoding=message.content_encoding,
                **self._confirmed,
            )  # fmt: skip
            message.ack()
            released += 1
        for message in others:
            self._put_back(message)
        return released

    def discard(self, limit: int) -> Iterator[Parked]:
        """Throw messages away, and say what each was."""
        for message in self._take(limit):
            yield Parked.of(message)
            message.ack()

    def _put_back(self, message: Message) -> None:
        put_back(self._producer, message, PARKED_QUEUE, **self._confirmed)

    def _take(self, limit: int) -> Iterator[Message]:
        for _ in range(limit):
            if (message := take(self._channel, PARKED_QUEUE)) is None:
                return
            yield message


@contextmanager
def parking_queue(settings: Settings) -> Iterator[ParkingQueue]:
    """Connect to it. Raises Unavailable when the broker is away."""
    with line(settings, confirm=True) as connection:
        declare(connection, settings.broker_is_amqp)
        yield ParkingQueue(connection, settings)
