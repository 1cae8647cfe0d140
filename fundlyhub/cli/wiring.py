"""What several commands need: all processors loaded, and a stop on SIGTERM, SIGHUP or Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping
from logging import getLogger
from typing import TYPE_CHECKING

import fundlyhub.processors  # noqa: F401  # registers them
from fundlyhub.processing import registry
from fundlyhub.processing.processor import Processor
from fundlyhub.settings import get_settings

if TYPE_CHECKING:
    from fundlyhub.processing.publisher import Publisher

log = getLogger(__name__)


def known_processors() -> Mapping[str, type[Processor]]:
    """All processors, those of FUNDLYHUB_PROCESSORS too."""
    return registry.load(get_settings().processors)


def publisher() -> Publisher:
    """The relay's way to the broker; Celery is loaded only for it. Raises WrongUse when no broker is set."""
    get_settings().broker  # noqa: B018  # a missing URL is better said before that
    from fundlyhub.celery import app
    from fundlyhub.processing.publisher import Publisher

    return Publisher(app)


LIMIT = 30.0
"""Seconds after a signal that a process ends by itself, whatever hangs."""


def stop_on_signals(limit: float | None = LIMIT) -> threading.Event:
    """An event that SIGTERM, Ctrl-C and the end of the terminal set; a second Ctrl-C ends at once.

    The process ends ``limit`` seconds later at the latest, even if a server hangs.
    """
    stop = threading.Event()

    def handler(number: int, _: object) -> None:
        if stop.is_set():
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            return
        stop.set()
        if limit is not None:
            last = threading.Timer(limit, _end, (limit,))
            last.daemon = True
            last.start()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, handler)
    return stop


def _end(limit: float) -> None:
    """End the process now. Unfinished work is done again: nothing is acknowledged before it is committed."""
    log.error("has not stopped within %.0f s; what hangs is left", limit)
    os._exit(1)
