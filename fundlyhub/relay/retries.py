"""Failures in a row, of a server that is away: how long to wait before the next try, and which of them are logged."""

from __future__ import annotations

import random
from logging import Logger

LONGEST = 10.0
"""Seconds between two tries at most."""


class Retries:
    """The tries of one action; a success begins anew."""

    def __init__(self, log: Logger) -> None:
        self._log, self._failures = log, 0

    def succeeded(self) -> None:
        """Forget the failures."""
        self._failures = 0

    def failed(self, reason: str) -> float:
        """Count a failure, and log the 1st, the 5th and each 20th; the seconds to wait: doubling, with jitter."""
        self._failures += 1
        if self._failures in (1, 5) or self._failures % 20 == 0:
            self._log.warning("paused: %s (try %d)", reason, self._failures)
        return random.uniform(0.5, 1.0) * min(LONGEST, 0.2 * 2.0 ** min(self._failures, 10))
