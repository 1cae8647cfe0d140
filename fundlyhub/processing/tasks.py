"""The Celery tasks: one per processor. Each runs a batch, and sends again what is left."""

from __future__ import annotations

import random
from logging import getLogger
from typing import Any

from celery import Celery, Task
from celery.exceptions import Reject, SoftTimeLimitExceeded

from fundlyhub.observability import redaction
from fundlyhub.processing.attempts import EndsWait
from fundlyhub.processing.broker_connections import line
from fundlyhub.processing.executor import Outage, execute
from fundlyhub.processing.messages import describe
from fundlyhub.processing.processor import MAX_BATCH, Processor
from fundlyhub.processing.queues import declare, routing_key
from fundlyhub.processing.registry import processors
from fundlyhub.processing.report import Resend
from fundlyhub.processing.settle import LONGEST_COUNTDOWN
from fundlyhub.processing.worker.task_events import Summary, summary
from fundlyhub.processing.worker.task_events import outage as told_of_outage
from fundlyhub.settings import get_settings

log = getLogger(__name__)


def install(app: Celery) -> None:
    """Give the app one task for each registered processor."""
    for processor in processors().values():
        app.task(
            _body(processor),
            bind=True,
            name=processor.task_name(),
            Request="fundlyhub.processing.worker.request:TellingRequest",
            # A lost child comes back as a retry on Redis, soon; every event of a batch may kill its share.
            max_retries=MAX_BATCH,
            default_retry_delay=1,
            **_limits(processor),
        )


def _limits(processor: type[Processor]) -> dict[str, float]:
    soft, hard = get_settings().time_limits(processor.queue)
    return {"soft_time_limit": soft, "time_limit": hard}


def _body(processor: type[Processor]) -> Any:
    def run(
        self: Task[..., Summary], positions: list[int], careful: bool = False, due: EndsWait = False, outage: int = 0
    ) -> Summary:
        request = self.request
        careful = careful or bool((request.delivery_info or {}).get("redelivered")) or request.retries > 0
        try:
            report = execute(processor, positions, careful=careful, ends_wait=due, budget=self.soft_time_limit / 2)
        except Outage as error:
            wait = _outage_wait(outage)
            log.warning("%s: a database failed (%s); the batch waits %d s", processor.name, error, wait)
            again = Resend(tuple(positions), wait)
            _send(self, processor, again, careful=careful, ends_wait=error.ends_wait, outage=outage + 1)
            return told_of_outage(error, wait)
        except SoftTimeLimitExceeded as error:  # between two steps: the message comes back, and is run with care
            raise Reject("time limit", requeue=True) from error
        for resend in report.resend:
            _send(self, processor, resend, careful=resend.careful, ends_wait=resend.ends_wait, outage=0)
        return summary(report)

    run.__doc__ = processor.__doc__
    return run


def _outage_wait(outages: int) -> int:
    return max(1, round(random.uniform(0.5, 1.0) * min(LONGEST_COUNTDOWN, 2.0**outages)))


def _send(
    task: Task[..., Summary],
    processor: type[Processor],
    resend: Resend,
    *,
    careful: bool,
    ends_wait: EndsWait,
    outage: int,
) -> None:
    """Send positions again; if the broker does not take them, give the whole message back to it.

    A new message, not a retry of this one: the broker's count of retries counts lost workers only.
    """
    options = {"careful": careful, "due": ends_wait, "outage": outage}
    message = {
        "args": (list(resend.positions),),
        "kwargs": {name: value for name, value in options.items() if value},
        "countdown": resend.seconds,
        "queue": processor.queue,
        "routing_key": routing_key(processor.queue),
        "argsrepr": describe(resend.positions),
        "confirm_timeout": get_settings().broker_timeout,
    }
    try:
        try:
            task.apply_async(**message)
        except Exception:  # the queues may be gone with an emptied broker: make them and try once more
            with line(get_settings()) as connection:
                declare(connection, get_settings().broker_is_amqp)
            task.apply_async(**message)
    except Exception as error:
        log.warning("cannot send %s again (%s); the broker keeps the message", task.name, redaction.describe(error))
        raise Reject(type(error).__name__, requeue=True) from error
