"""Keeps rebuilds going: beside the leading relay, it sends their tasks for as long as there is something to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import psycopg
from celery import Celery

from fundlyhub.database import connect
from fundlyhub.processing.processor import Processor, Queue
from fundlyhub.processing.routing import Batch
from fundlyhub.processing.task_names import REBUILDS, rebuild_task
from fundlyhub.rebuilds.model import branches
from fundlyhub.relay.background_thread import PublishingCompanion
from fundlyhub.settings import Branch, Settings

POLL = 1.0
"""Seconds between two looks."""
AT_ONCE = 4
"""Tasks that are sent at once for a rebuild that is being filled; none while some of them wait in the queue."""

_RUNNING = """
    SELECT id, processor, (SELECT count(*) FROM {live}.rebuild_ranges WHERE rebuild_id = id AND NOT done)
    FROM {live}.rebuilds WHERE state = 'running' ORDER BY id
"""


class RebuildTask(Batch):
    """A message that has a worker go on with a rebuild; its only position is the number of the rebuild."""

    @property
    def task(self) -> str:
        """The name of the task that runs it."""
        return rebuild_task(self.processors[0])

    @property
    def queue(self) -> Queue:
        """The queue of rebuilds."""
        return REBUILDS


class Rebuilder(PublishingCompanion):
    """Beside the leading relay. A second one, after a change of the leader, sends some tasks too many: no harm."""

    name = "rebuilder"

    def __init__(self, app: Celery, settings: Settings, processors: Mapping[str, type[Processor]]) -> None:
        super().__init__(POLL, app)
        self._settings, self._processors = settings, processors

    def work(self) -> None:
        """Look, again and again."""
        with ExitStack() as stack:
            dbs: dict[Branch, psycopg.Connection[Any]] = {
                branch: stack.enter_context(connect(branch, settings=self._settings, autocommit=True))
                for branch in branches(self._processors)
            }
            while not self._stop.wait(POLL):
                tasks = [task for branch, db in dbs.items() for task in self._tasks(branch, db)]
                if tasks and not self._publisher.depths()[REBUILDS]:
                    self._publisher.send(tasks)

    def _tasks(self, branch: Branch, db: psycopg.Connection[Any]) -> Iterator[Batch]:
        for number, name, ranges in db.execute(_RUNNING.format(live=branch)).fetchall():
            if processor := self._processors.get(name):  # another release may have begun it
                yield from [RebuildTask((processor,), (number,))] * (min(AT_ONCE, ranges) or 1)
