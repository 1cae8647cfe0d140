"""The names of Celery tasks: a processor's own, that of its rebuilds, and those of queues with shared messages."""

from __future__ import annotations

from fundlyhub.processing.processor import Processor, Queue
from fundlyhub.processing.registry import processors
from fundlyhub.processing.routing import SHARED

REBUILDS: Queue = "rebuilds"


def rebuild_task(processor: type[Processor]) -> str:
    """The task that goes on with a rebuild of a processor's tables."""
    return f"{REBUILDS}.{processor.name}"


def task_names(processor: type[Processor]) -> tuple[str, ...]:
    """All tasks of a processor; it has one for rebuilds where it names its tables."""
    return (processor.task_name(), rebuild_task(processor)) if processor.tables else (processor.task_name(),)


def all_task_names() -> set[str]:
    """All tasks that a worker has; there are no others of ours."""
    return {name for processor in processors().values() for name in task_names(processor)} | {*SHARED}
