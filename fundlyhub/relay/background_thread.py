"""Background threads of the leading relay: they survive any error, and never hold the relay up."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from logging import getLogger

from celery import Celery

from fundlyhub.observability.redaction import describe
from fundlyhub.processing.publisher import Publisher
from fundlyhub.relay.cursor import LostLeadership

log = getLogger(__name__)


PATIENCE = 5.0
"""Seconds that the end waits for all threads together. They are daemons: what one is in the middle of is done again."""


class Companion:
    """Runs ``work`` in a thread while it is ``running``, and again after a pause when it fails."""

    name = "companion"
    patience = PATIENCE
    """Seconds that the end waits for this one at most."""

    def __init__(self, pause: float) -> None:
        self._pause = pause
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Ask for the end, and return at once."""
        self._stop.set()

    def join(self, end: float) -> None:
        """Wait for the end until ``end`` on the monotonic clock, and no longer than its patience."""
        self._thread.join(max(0.0, min(self.patience, end - time.monotonic())))

    def work(self) -> None:
        """Do what is to be done until ``self._stop`` is set; any error but LostLeadership begins it anew.

        A companion that has nothing to do returns, and its thread ends.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Give up what ``work`` has left open, after an error and at the end; never raises."""

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.work()
                break
            except LostLeadership:
                break
            except Exception as error:  # the relay must go on whatever is met here; it is tried again
                log.warning("the %s failed, and is tried again: %s", self.name, describe(error))
                self.close()
                self._stop.wait(self._pause)
        self.close()


@contextmanager
def running(*companions: Companion, patience: float = PATIENCE) -> Iterator[None]:
    """Run them until the block ends. All are asked to end before any is waited for, so that their waits are one."""
    for companion in companions:
        companion.start()
    try:
        yield
    finally:
        for companion in companions:
            companion.stop()
        end = time.monotonic() + patience
        for companion in companions:
            companion.join(end)


class PublishingCompanion(Companion):
    """A companion with a publisher of its own."""

    def __init__(self, pause: float, app: Celery) -> None:
        super().__init__(pause)
        self._publisher = Publisher(app)

    def close(self) -> None:
        """Leave the broker."""
        self._publisher.close()
