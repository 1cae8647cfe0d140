"""The names of a processor's Celery tasks: that of its batches, and that of its rebuilds."""

from __future__ import annotations

from fundlyhub.processing.processor import Processor, Queue

REBUILDS: Queue = "rebuilds"


def rebuild_task(processor: type[Processor]) -> str:
    """The task that goes on with a rebuild of a processor's tables."""
    return f"{REBUILDS}.{processor.name}"


def task_names(processor: type[Processor]) -> tuple[str, ...]:
    """All tasks of a processor; it has one for rebuilds where it names its tables."""
    return (processor.task_name(), rebuild_task(processor)) if processor.tables else (processor.task_name(),)
