"""Waits for a condition, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def wait_until(condition: Callable[[], Any], *, timeout: float = 120, what: str = "the condition") -> Any:
    """Wait for a true value and return it. Raises AssertionError when it does not come within ``timeout`` seconds."""
    end = time.monotonic() + timeout
    while True:
        if value := condition():
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout:.0f} s in vain for {what}")
        time.sleep(0.05)


def wait_count(count: Callable[[], int], wanted: int, *, timeout: float = 180, what: str) -> None:
    """Wait until a count has grown to what is wanted; fail when it has not grown for so many seconds.

    So a machine on which everything is slow fails no test, and work that stands still does.
    """
    reached, end = -1, 0.0
    while (now := count()) < wanted:
        if now > reached:
            reached, end = now, time.monotonic() + timeout
        elif time.monotonic() > end:
            raise AssertionError(f"waited {timeout:.0f} s in vain for more than {reached} of {wanted} {what}")
        time.sleep(0.05)
