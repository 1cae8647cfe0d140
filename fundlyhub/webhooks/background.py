"""The thread of `fundlyhub webhooks` that applies stored delivery reports."""

from __future__ import annotations

import threading
from logging import getLogger
from typing import Self

from sqlalchemy import Engine

from fundlyhub.observability.redaction import describe
from fundlyhub.processors.notifications.delivery_reports import inbox

log = getLogger(__name__)

PAUSE = 5.0
"""Seconds between two looks without a wake-up."""
PATIENCE = 10.0
"""Seconds that the end waits for the thread; the next process applies the rest."""


class TakingUp:
    """Takes reports up between ``__enter__`` and ``__exit__``, whatever it meets."""

    def __init__(self, engine: Engine, *, pause: float = PAUSE) -> None:
        self._engine, self._pause = engine, pause
        self._wake, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="delivery reports", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._wake.set()
        self._thread.join(PATIENCE)

    def wake(self) -> None:
        """Apply new reports now."""
        self._wake.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            try:
                inbox.take_up(self._engine)
            except Exception as error:  # requests go on whatever is met here; it is tried again
                log.warning("delivery reports wait, and are tried again: %s", describe(error))
            self._wake.wait(self._pause)
