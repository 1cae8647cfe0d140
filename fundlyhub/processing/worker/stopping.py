"""Limits the time of a worker's stop: the worker exits even if the broker or a child process does not respond."""

from __future__ import annotations

import os
import signal
import threading
from logging import getLogger
from typing import Any

from billiard import active_children

from fundlyhub.settings import get_settings

log = getLogger(__name__)

GRACE = 15.0
"""Seconds beyond the limit for running batches, for giving messages back and for closing connections."""


def bound_the_stop(**_: Any) -> None:
    """End the process if its stop takes too long; for Celery's signal ``worker_shutting_down``."""
    _end_unless_stopped(get_settings().stop_limit + GRACE)


def bound_the_rest() -> None:
    """The same from the moment on when the time of running batches is over.

    Celery sends that signal only when its children have ended, and it waits for them without a limit: for one that is
    stopped (SIGSTOP), for ever.
    """
    _end_unless_stopped(GRACE)


def _end_unless_stopped(seconds: float) -> None:
    threading.Thread(target=_end_after, args=(seconds,), name="bounded-stop", daemon=True).start()


def _end_after(seconds: float) -> None:
    """Messages are acknowledged late and claims commit with their effects: a killed worker harms nothing."""
    threading.Event().wait(seconds)
    log.error("has not stopped within %.0f s; leaves what it holds to the next worker", seconds)
    for child in active_children():
        os.kill(child.pid, signal.SIGKILL)
    os._exit(1)
