"""The publisher: sends batches of positions to the work queues as Celery messages, and waits for confirmations."""

from __future__ import annotations

import time
from collections.abc import Sequence
from math import inf
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from celery import Celery
from kombu import Connection, Producer
from kombu.exceptions import OperationalError

from fundlyhub.forks import in_child, leave_to_parent
from fundlyhub.processing.attempts import EndsWait
from fundlyhub.processing.broker_connections import give_up, open_line
from fundlyhub.processing.messages import PROCESSORS, describe
from fundlyhub.processing.queues import EXCHANGE, declare, depths, routing_key
from fundlyhub.processing.routing import Batch
from fundlyhub.settings import get_settings

WINDOW = 500
"""Messages under way before their confirmations are awaited."""


class Publisher:
    """One connection to the broker, made when it is needed; after an error the next ``send`` connects anew.

    A broker is waited for ``patience`` seconds, and no longer than BROKER_TIMEOUT.
    """

    def __init__(self, app: Celery, *, patience: float = inf) -> None:
        self._app, self._settings = app, get_settings()
        self._patience = min(patience, self._settings.broker_timeout)
        self._amqp: bool = app.conf.task_default_exchange_type == "topic"
        self._connection: Connection | None = None
        self._producer: Producer | None = None
        self._unconfirmed: set[int] = set()
        self._refused = False
        in_child(self, Publisher._leave)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def send(self, batches: Sequence[Batch], *, careful: bool = False, ends_wait: EndsWait = False) -> None:
        """Publish the batches in their order and return when the broker has them all.

        ``careful`` and ``ends_wait`` are those of ``execute``. Raises a connection or operational error when delivery
        is uncertain: send all of them again.
        """
        kwargs = {name: value for name, value in (("careful", careful), ("due", ends_wait)) if value}
        try:
            for start in range(0, len(batches), WINDOW):
                self._send(batches[start : start + WINDOW], kwargs)
        except BaseException:
            self.close()
            raise

    def _send(self, batches: Sequence[Batch], kwargs: dict[str, Any]) -> None:
        producer = self._producer or self._connect()
        if not self._amqp:
            with producer.batch(WINDOW):
                for batch in batches:
                    self._publish(producer, batch, kwargs)
            return
        for batch in batches:
            self._publish(producer, batch, kwargs)
            self._tag += 1
            self._unconfirmed.add(self._tag)
        self._await_confirmations()

    def _publish(self, producer: Producer, batch: Batch, kwargs: dict[str, Any]) -> None:
        task, queue = batch.task, batch.queue
        if len(batch.processors) > 1:
            kwargs = {**kwargs, PROCESSORS: batch.names}
        message = self._app.amqp.as_task_v2(
            str(uuid4()), task, args=(batch.positions,), kwargs=kwargs, argsrepr=describe(batch.positions),
            ignore_result=True, origin="relay",
        )  # fmt: skip
        # On Redis the default exchange leads straight to the queue; another one costs a look-up each.
        exchange, key = (EXCHANGE, routing_key(queue)) if self._amqp else ("", queue)
        producer.publish(
            message.body, exchange=exchange, routing_key=key, serializer="json", headers=message.headers,
            mandatory=self._amqp, delivery_mode=2, **message.properties,
        )  # fmt: skip

    def depths(self) -> dict[str, int]:
        """Messages that wait in each work queue."""
        if self._connection is None:
            self._connect()
        assert self._connection is not None
        return depths(self._connection, self._amqp)

    def close(self) -> None:
        """Give the connection up; never raises."""
        connection, self._connection, self._producer = self._connection, None, None
        give_up(connection)

    def _leave(self) -> None:
        leave_to_parent(self._connection)
        self._connection, self._producer = None, None

    def _connect(self) -> Producer:
        self.close()
        # Not the app's own connection: confirmations are counted here, not awaited one by one.
        self._connection = open_line(self._settings, answer=self._patience)
        declare(self._connection, self._amqp)
        channel = self._connection.channel() if self._amqp else self._connection.default_channel
        self._unconfirmed, self._refused, self._tag = set(), False, 0
        if self._amqp:
            channel.confirm_select()
            channel.events["basic_ack"].add(self._on_ack)
            channel.events["basic_nack"].add(self._on_nack)
        self._producer = Producer(channel, auto_declare=False)
        return self._producer

    def _await_confirmations(self) -> None:
        assert self._connection is not None
        end = time.monotonic() + self._patience
        while self._unconfirmed:
            left = end - time.monotonic()
            if left <= 0:
                raise OperationalError("the broker confirms nothing")
            self._connection.drain_events(timeout=left)
        if self._refused:
            raise OperationalError("the broker refused a message")

    def _on_ack(self, tag: int, multiple: bool) -> None:
        if multiple:
            self._unconfirmed = {open_tag for open_tag in self._unconfirmed if open_tag > tag}
        else:
            self._unconfirmed.discard(tag)

    def _on_nack(self, tag: int, multiple: bool) -> None:
        self._refused = True
        self._on_ack(tag, multiple)
