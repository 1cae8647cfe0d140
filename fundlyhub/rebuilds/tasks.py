"""The Celery tasks of rebuilds: one per processor, on the queue ``rebuilds``. Each goes on for some seconds.

A message carries nothing that counts: whatever is lost, doubled or late, the rebuild goes on from its own claims.
"""

from __future__ import annotations

from logging import getLogger
from typing import Any

from celery import Celery, Task
from celery.exceptions import SoftTimeLimitExceeded

from fundlyhub.observability.redaction import describe
from fundlyhub.processing.processor import Processor
from fundlyhub.processing.registry import processors
from fundlyhub.processing.task_names import rebuild_task
from fundlyhub.settings import get_settings

log = getLogger(__name__)


def install(app: Celery) -> None:
    """Give the app a task for each registered processor that names its tables."""
    for processor in processors().values():
        if processor.tables:
            soft, hard = get_settings().time_limits(processor.queue)
            app.task(
                _body(processor), bind=True, name=rebuild_task(processor), soft_time_limit=soft, time_limit=hard,
                max_retries=None, default_retry_delay=1,
            )  # fmt: skip


def _body(processor: type[Processor]) -> Any:
    def run(self: Task[..., None], positions: list[int]) -> None:
        from fundlyhub.rebuilds.filling import go_on  # what verifies is loaded by the workers that need it

        try:
            replayed = go_on(get_settings(), processor)
        except SoftTimeLimitExceeded:
            log.warning("the rebuild of %s was interrupted by the time limit; it goes on", processor.name)
        except Exception as error:  # the relay sends the next one in a second or two, whatever it was
            log.warning("the rebuild of %s failed, and is tried again: %s", processor.name, describe(error))
        else:
            log.info("the rebuild of %s replayed %d claims", processor.name, replayed)

    run.__doc__ = f"Goes on with the rebuild of {processor.name}, if there is one."
    return run
