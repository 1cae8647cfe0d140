"""What several commands need: all processors loaded, and a stop on SIGTERM, SIGHUP or Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Mapping

import fundlyhub.processors  # noqa: F401  # registers them
from fundlyhub.processing import registry
from fundlyhub.processing.processor import Processor
from fundlyhub.settings import get_settings


def known_processors() -> Mapping[str, type[Processor]]:
    """All processors, those of FUNDLYHUB_PROCESSORS too."""
    registry.load(get_settings().processors)
    return registry.processors()


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM, Ctrl-C and the end of the terminal set; a second Ctrl-C ends at once."""
    stop = threading.Event()

    def handler(number: int, _: object) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, handler)
    return stop
