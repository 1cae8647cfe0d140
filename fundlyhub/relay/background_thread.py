"""A background thread of the leading relay: it survives any error, and never holds the relay up."""

from __future__ import annotations

import threading
from logging import getLogger
from types import TracebackType
from typing import Self

from celery import Celery

from fundlyhub.observability.redaction import describe
from fundlyhub.processing.publisher import Publisher
from fundlyhub.relay.cursor import LostLeadership

log = getLogger(__name__)


class Companion:
    """Runs ``work`` in a thread between ``__enter__`` and ``__exit__``, and again after a pause when it fails."""

    name = "companion"
    patience = 5.0
    """Seconds that the end waits for the thread, which is a daemon: what it is in the middle of is done once more."""

    def __init__(self, pause: float) -> None:
        self._pause = pause
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join(timeout=self.patience)

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


class PublishingCompanion(Companion):
    """A companion with a publisher of its own."""

    def __init__(self, pause: float, app: Celery) -> None:
        super().__init__(pause)
        self._publisher = Publisher(app)

    def close(self) -> None:
        """Leave the broker."""
        self._publisher.close()
