"""The pace at which open pages look again: slower the more of them are open, so that tabs do not add up."""

from __future__ import annotations

import time
from threading import Lock

HEADER = "Fundlyhub-Again"
"""Of the answer to a part that was loaded anew: the seconds after which its page asks again."""
EVERY = 2.0
"""Seconds between two looks of a page that is the only one."""
BETWEEN, SHARE = 0.5, 200.0
"""Seconds between two looks of any of them, and how often at least the time that one took of a processor passes until
the next: all looks together take about half a percent of a core."""
LONGEST = 30.0
"""Seconds that a page waits at most."""


class Pace:
    """Gives each look a time of its own for the next one."""

    def __init__(self) -> None:
        self._lock, self._next = Lock(), 0.0

    def again(self, used: float, now: float | None = None) -> float:
        """In how many seconds a page that asks now is to ask again; ``used`` is what its look took of a processor.

        >>> pace = Pace()
        >>> pace.again(0.002, 10.0), pace.again(0.002, 12.0)  # one page
        (2.0, 2.0)
        >>> [pace.again(0.002, 14.0) for _ in range(4)]  # four pages
        [2.0, 2.5, 3.0, 3.5]
        >>> pace.again(0.010, 14.0)  # a dear one
        5.5
        """
        now = time.monotonic() if now is None else now
        with self._lock:
            self._next = min(max(now + EVERY, self._next + max(BETWEEN, SHARE * used)), now + LONGEST)
            return self._next - now
