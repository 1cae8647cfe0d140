"""The Celery tasks: one per processor, and one per queue for messages that its processors share.

Each runs a batch, and sends again what is left.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from logging import getLogger
from typing import Any

from celery import Celery, Task
from celery.exceptions import Reject, SoftTimeLimitExceeded

from fundlyhub.observability import redaction
from fundlyhub.processing import registry
from fundlyhub.processing.attempts import EndsWait
from fundlyhub.processing.broker_connections import line
from fundlyhub.processing.executor import Outage, execute
from fundlyhub.processing.messages import PROCESSORS, describe
from fundlyhub.processing.processor import MAX_BATCH, Processor, Queue
from fundlyhub.processing.queues import declare, routing_key
from fundlyhub.processing.report import Report
from fundlyhub.processing.routing import SHARED, Batch, shares
from fundlyhub.processing.settle import LONGEST_COUNTDOWN
from fundlyhub.processing.shared import execute_shared
from fundlyhub.processing.worker.task_events import Summary, summary
from fundlyhub.processing.worker.task_events import outage as told_of_outage
from fundlyhub.settings import get_settings

log = getLogger(__name__)


def install(app: Celery) -> None:
    """Give the app one task for each registered processor, and one for each queue whose processors share messages."""
    for processor in registry.processors().values():
        _add(app, processor.task_name(), processor.queue, _body(processor))
    for queue in SHARED:
        _add(app, queue, queue, _shared_body(queue))


def _add(app: Celery, name: str, queue: Queue, body: Any) -> None:
    soft, hard = get_settings().time_limits(queue)
    app.task(
        body,
        bind=True,
        name=name,
        Request="fundlyhub.processing.worker.request:TellingRequest",
        # A lost child comes back as a retry on Redis, soon; every event of a batch may kill its share.
        max_retries=MAX_BATCH,
        default_retry_delay=1,
        soft_time_limit=soft,
        time_limit=hard,
    )


def _body(processor: type[Processor]) -> Any:
    def run(
        self: Task[..., Summary], positions: list[int], careful: bool = False, due: EndsWait = False, outage: int = 0
    ) -> Summary:
        try:
            report = execute(
                processor, positions,
                careful=careful or _came_back(self), ends_wait=due, budget=self.soft_time_limit / 2,
            )  # fmt: skip
        except Outage as error:
            again = Batch((processor,), tuple(positions))
            return _wait_for_it(self, again, error, outage, careful=careful or _came_back(self), due=error.ends_wait)
        except SoftTimeLimitExceeded as error:  # between two steps: the message comes back, and is run with care
            raise Reject("time limit", requeue=True) from error
        for one in report.resend:
            batch = Batch((processor,), one.positions)
            _send(self, batch, one.seconds, careful=one.careful, due=one.ends_wait)
        return summary(report)

    run.__doc__ = processor.__doc__
    return run


def _shared_body(queue: Queue) -> Any:
    sharing = {name: one for name, one in registry.processors().items() if one.queue == queue and shares(one)}

    def run(self: Task[..., Summary], positions: list[int], processors: Sequence[str] = (), outage: int = 0) -> Summary:
        if unknown := [name for name in processors if name not in sharing]:  # the sweep finds their events
            log.error("%s: this release cannot run %d processors of a shared message", queue, len(unknown))
        members = [sharing[name] for name in processors if name in sharing]
        if not members:
            return summary(Report())
        try:
            done = execute_shared(members, positions, careful=_came_back(self))
        except Outage as error:
            return _wait_for_it(self, Batch(tuple(members), tuple(positions)), error, outage)
        except SoftTimeLimitExceeded as error:
            raise Reject("time limit", requeue=True) from error
        for batch in done.left:
            _send(self, batch, 0, careful=done.careful)
        return summary(done.report, divided=sum(len(batch.positions) for batch in done.left))

    run.__doc__ = f"Events for several processors of the queue {queue} at once."
    return run


def _came_back(task: Task[..., Summary]) -> bool:
    """Whether a worker that had this message before has not done with it."""
    return bool((task.request.delivery_info or {}).get("redelivered")) or task.request.retries > 0


def _wait_for_it(task: Task[..., Summary], batch: Batch, error: Outage, outages: int, **options: Any) -> Summary:
    """Send a batch again as a whole, since a database failed; later each time."""
    wait = max(1, round(random.uniform(0.5, 1.0) * min(LONGEST_COUNTDOWN, 2.0**outages)))
    log.warning("%s: a database failed (%s); the batch waits %d s", ", ".join(batch.names), error, wait)
    _send(task, batch, wait, outage=outages + 1, **options)
    return told_of_outage(error, wait)


def _send(task: Task[..., Summary], batch: Batch, seconds: int, **options: Any) -> None:
    """Send a batch; if the broker does not take it, give the message that is running back to it, as a whole.

    A new message, not a retry of this one: the broker's count of retries counts lost workers only.
    """
    named = {PROCESSORS: batch.names} if len(batch.processors) > 1 else {}
    message = {
        "args": (list(batch.positions),),
        "kwargs": {name: value for name, value in (options | named).items() if value},
        "countdown": seconds,
        "queue": batch.queue,
        "routing_key": routing_key(batch.queue),
        "argsrepr": describe(batch.positions),
        "confirm_timeout": get_settings().broker_timeout,
    }
    runs_it = task.app.tasks[batch.task]
    try:
        try:
            runs_it.apply_async(**message)
        except Exception:  # the queues may be gone with an emptied broker: make them and try once more
            with line(get_settings()) as connection:
                declare(connection, get_settings().broker_is_amqp)
            runs_it.apply_async(**message)
    except Exception as error:
        log.warning("cannot send %s again (%s); the broker keeps the message", batch.task, redaction.describe(error))
        raise Reject(type(error).__name__, requeue=True) from error
