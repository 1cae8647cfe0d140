"""Paused processors, to which the relay sends nothing: no message goes round for an event that would not be run.

The resumer says which ones are paused, and takes one out of them before it looks for what was held back. So an event
that the relay has passed over was in the log by then, and is found; one that comes later is sent by the relay.
"""

from __future__ import annotations

from collections.abc import Collection
from logging import getLogger

log = getLogger(__name__)


class HeldBack:
    """The names of paused processors: written by the resumer's thread, read by the relay's."""

    def __init__(self) -> None:
        self._names: frozenset[str] = frozenset()

    def set(self, names: Collection[str]) -> None:
        """From now on these are paused, and no others."""
        now = frozenset(names)
        if begun := now - self._names:
            log.info("paused: %s; new events stay in the log", ", ".join(sorted(begun)))
        self._names = now

    @property
    def names(self) -> frozenset[str]:
        """Those that are paused. Read it after the events have been read from the log."""
        return self._names
