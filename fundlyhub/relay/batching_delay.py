"""Delays hand-over so that events share messages: not at all while workers keep up, longer when they fall behind.

A worker's cost is by the message. Workers that are behind would never catch up with a relay that hands them events one
by one, and nothing joins messages that are in a queue: so what is published meanwhile is to share the next ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from fundlyhub.processing.processor import Queue

PACED: tuple[Queue, ...] = ("writes", "projections")
"""The queues whose workers get on faster when events share a message. A call to a provider costs the same in any
message: a backlog of mails must not hold up the donations."""
LOOK = 0.1
"""Seconds between two looks at how many messages wait."""
CROWD = 3
"""Messages in a queue, beside those that its workers hold, above which sharing is better than haste."""
FIRST, LEAST, LONGEST = 0.004, 0.001, 0.1
"""Seconds that events gather: at first, before they do no more, and at most."""
GROWTH = 1.4
"""By what the pause grows with each look while messages pile up. A larger factor goes too far: doubling it, the pause
came to its maximum at 50 transactions a second with everything on, and half of it would have sufficed."""
SHRINKAGE = 0.95
"""By what it shrinks with each look at few messages."""


class Pace:
    """The pause after each page of the log."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pause, self._waiting, self._look_at = 0.0, 0, 0.0

    def pause(self, waiting: Callable[[], int]) -> float:
        """Seconds to wait now. ``waiting`` tells what ``crowd`` does, without one's own; asked ten times a second."""
        now = self._clock()
        if now >= self._look_at:
            # Without events there were no looks, and workers had time to catch up.
            self._pause *= SHRINKAGE ** ((now - self._look_at) / LOOK)
            self._look_at = now + LOOK
            before, self._waiting = self._waiting, waiting()
            self._pause = next_pause(self._pause, before, self._waiting)
        return self._pause


def crowd(depths: Mapping[str, int]) -> int:
    """Messages in the fullest of the paced queues. Pure."""
    return max(depths[queue] for queue in PACED)


def next_pause(seconds: float, before: int, now: int) -> float:
    """The next pause, from the messages that waited ``before`` and those that wait ``now``. Pure.

    Longer while they pile up; as long, while they become fewer; and a little shorter with each look at few.
    """
    if now <= CROWD:
        return SHRINKAGE * seconds if seconds > LEAST else 0.0
    return min(LONGEST, max(FIRST, GROWTH * seconds)) if now >= before or not seconds else seconds
