"""Tunes Python's garbage collector: imports are never garbage, and batches leave few cycles."""

from __future__ import annotations

import gc
from typing import Any

THRESHOLDS = (100_000, 50, 100)
"""New objects between two looks at the youngest, and such looks before the older; 700 are passed by thirty events, or
by importing one module."""


def look_seldom() -> None:
    """Look less often, from now on: a command's imports alone made Python look at all of them some hundred times."""
    gc.set_threshold(*THRESHOLDS)


def tune(**_: Any) -> None:
    """Look less often, and never at what is there already; for Celery's signal ``worker_process_init``.

    A batch makes thousands of objects at once, each of which made Python walk through all that was ever imported: a
    third of the time that an event took.
    """
    gc.collect()
    gc.freeze()
    look_seldom()
