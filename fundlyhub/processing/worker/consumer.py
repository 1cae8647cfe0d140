"""A consumer that loses no message: one that cannot run goes to the dead queue or to the parking queue.

Celery acknowledges a message that it cannot decode, rejects others, and crashes on some, which then kill each worker
that takes them up. So a message is read here before Celery gets it. On RabbitMQ a rejected message goes through the
dead-letter exchange to the collector. Redis would drop it: there the worker itself puts it into the parking queue,
unless it is a batch of a processor that this release does not have, whose events the sweep finds in the log.
"""

from __future__ import annotations

from collections.abc import Callable
from logging import getLogger
from typing import Any

from celery.worker.consumer import Consumer
from kombu import Message, Producer

from fundlyhub.processing.messages import Unreadable, park, read
from fundlyhub.processing.queues import PARKED_QUEUE, QUEUES
from fundlyhub.processing.task_names import all_task_names
from fundlyhub.processing.worker.stopping import bound_the_rest
from fundlyhub.settings import get_settings

log = getLogger(__name__)

MOST_PARKED = 10_000
"""Parked messages that are kept in Redis: its memory is the broker's."""


_OURS = {
    "celery.worker.consumer.delayed_delivery:DelayedDelivery":
        "fundlyhub.processing.worker.delayed_delivery:OneNodeDelayedDelivery",
}  # fmt: skip
"""Steps in the place of Celery's."""


class RefusingConsumer(Consumer):
    """Celery's consumer, with our own treatment of messages that are no valid task."""

    class Blueprint(Consumer.Blueprint):
        """Celery's steps; that of delayed delivery asks one node."""

        default_steps = tuple(_OURS.get(step, step) for step in Consumer.Blueprint.default_steps)

    def create_task_handler(self, *args: Any, **options: Any) -> Callable[[Message], None]:
        """Celery's own, behind a look at the message: no task but a processor's exists, and none of Celery's."""
        take_up = super().create_task_handler(*args, **options)
        ours = all_task_names()

        def handle(message: Message) -> None:
            try:
                task = read(message).task
                # A task has limits of its own. Celery writes them into each message, of a release with others too.
                message.headers["timelimit"] = None
                if task in ours:
                    take_up(message)
                else:
                    self._refuse(message, "its task is not known", keep=task.partition(".")[0] not in QUEUES)
            except Unreadable as error:
                self._refuse(message, str(error))
            except (ValueError, TypeError, LookupError) as error:
                self._refuse(message, f"it cannot be taken up: {type(error).__name__}")

        return handle

    def cancel_active_requests(self) -> None:
        """Called by Celery when the time for running batches is over; what follows is limited too."""
        bound_the_rest()
        super().cancel_active_requests()

    def on_decode_error(self, message: Message, exc: Exception) -> None:
        """It is compressed, not JSON, or damaged. Celery would acknowledge it, and print it."""
        self._refuse(message, "it cannot be decoded")

    def _refuse(self, message: Message, reason: str, *, keep: bool = True) -> None:
        log.error("refused a message of %d bytes: %s", len(message.body or b""), reason)
        if keep and not get_settings().broker_is_amqp:
            queue = str((message.delivery_info or {}).get("routing_key", ""))
            park(Producer(message.channel, auto_declare=False), message, reason, queue=queue)
            with message.channel.conn_or_acquire() as client:  # its own client waits for messages
                client.ltrim(PARKED_QUEUE, 0, MOST_PARKED - 1)
        message.reject_log_error(log, self.connection_errors)
