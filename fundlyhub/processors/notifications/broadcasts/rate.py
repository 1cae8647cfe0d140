"""The rate at which a process sends broadcasts: its setting, and less after a provider has refused messages.

A provider's limit covers all messages of an account, and a receipt must find room beside a broadcast. So after a
refusal a broadcast goes on at half of its speed, and regains it step by step.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable

MEASURED = 5.0
"""Seconds over which the speed is measured."""
REGAINED, REGAIN_TIME = 1.1, 10.0
"""A reduced rate grows by this factor after this many seconds without a refusal."""


class Rate:
    """Messages a second through one channel; ``most`` is 0 where only the provider sets a limit.

    For one thread. Times are seconds of the monotonic clock.
    """

    def __init__(
        self, most: float, *, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._most, self._clock, self._sleep = most or math.inf, clock, sleep
        self._now, self._cut_at, self._goal = self._most, clock(), self._most
        self._free_at = self._held_until = -math.inf
        self._begun: deque[tuple[float, int]] = deque()

    @property
    def rate(self) -> float:
        """Messages a second, now."""
        steps = math.floor((self._clock() - self._cut_at) / REGAIN_TIME)
        if self._now < self._most and steps > 0:
            self._now, self._cut_at = self._now * REGAINED**steps, self._cut_at + steps * REGAIN_TIME
            if self._now >= self._goal:
                self._now = self._most
        return self._now

    @property
    def held(self) -> float:
        """Seconds for which the provider wants nothing."""
        return max(0.0, self._held_until - self._clock())

    def wait(self, wanted: int, end: float) -> int:
        """Wait until messages may be sent, and return how many; 0 when that is not before ``end``."""
        rate, now = self.rate, self._clock()
        at = max(now, self._free_at)
        if at > now:
            self._sleep(min(at, end) - now)
            if at > end:
                return 0
        count = max(1, min(wanted, int(min(rate, wanted))))
        self._free_at = at + count / rate
        self._begun.append((at, count))
        while self._begun[0][0] < at - MEASURED:
            self._begun.popleft()
        return count

    def refused(self, seconds: float) -> None:
        """Slow down: the provider wants no more for some seconds. Refusals of calls under way then change nothing."""
        now = self._clock()
        if now >= self._held_until:
            recent = [(at, count) for at, count in self._begun if at >= now - MEASURED]
            speed = sum(count for _, count in recent) / max(1.0, now - recent[0][0]) if recent else 1.0
            self._goal = min(self._most, speed)
            self._now = max(1.0, min(self._now, speed) / 2)
        self._held_until = max(self._held_until, now + seconds)
        self._cut_at = self._free_at = self._held_until
