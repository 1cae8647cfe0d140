"""The dead queue of RabbitMQ: reads its messages one by one, and parks those that cannot be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kombu import Connection, Message, Producer

from fundlyhub.forks import in_child, leave_to_parent
from fundlyhub.processing import messages
from fundlyhub.processing.broker_connections import give_up, open_line
from fundlyhub.processing.queues import DEAD_QUEUE, declare
from fundlyhub.settings import Settings

DELIVERY_LIMIT = "delivery_limit"
"""RabbitMQ's reason for a message that was delivered too often; one that a worker refused is ``rejected``."""


class DeadQueue:
    """One connection, made when it is needed. After any error, ``close`` it: what was not settled goes back."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection: Connection | None = None
        self._channel: Any = None
        in_child(self, DeadQueue._leave)

    def get(self) -> Message | None:
        """The next message, to be acknowledged when it is settled; None when there is none."""
        channel = self._channel or self._connect()
        message = messages.take(channel, DEAD_QUEUE)
        if message is None or not messages.is_worn(message):
            return message
        # It went back again and again, since a database is away: it must not be dropped for that.
        messages.renew(Producer(channel, auto_declare=False), message, DEAD_QUEUE, **self._confirmed())
        return messages.take(channel, DEAD_QUEUE)

    def park(self, message: Message, reason: str) -> None:
        """Copy a message to the parking queue, and return when the broker has it."""
        messages.park(
            Producer(self._channel, auto_declare=False), message, reason, queue=_died_in(message), **self._confirmed()
        )

    def _confirmed(self) -> Mapping[str, Any]:
        return {"mandatory": True, "confirm_timeout": self._settings.broker_timeout}

    def close(self) -> None:
        """Give the connection up; never raises."""
        connection, self._connection, self._channel = self._connection, None, None
        give_up(connection)

    def _leave(self) -> None:
        leave_to_parent(self._connection)
        self._connection, self._channel = None, None

    def _connect(self) -> Any:
        self._connection = open_line(self._settings, confirm=True)
        declare(self._connection, amqp=True)
        self._channel = self._connection.channel()
        return self._channel


def reason_of(message: Message) -> str:
    """Why RabbitMQ moved the message here, the last time."""
    return str(_death(message).get("reason") or "unknown")


def _died_in(message: Message) -> str:
    return str(_death(message).get("queue") or "")


def _death(message: Message) -> Mapping[str, Any]:
    """What RabbitMQ wrote down of it; a publisher may have written the header, with anything in it."""
    deaths = (message.headers or {}).get("x-death")
    first = deaths[0] if isinstance(deaths, list) and deaths else None
    return first if isinstance(first, dict) else {}
