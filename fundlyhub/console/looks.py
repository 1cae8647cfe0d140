"""Readings that all tabs share: made anew when one is old, by one request at a time."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, TypeVar

T = TypeVar("T")

FRESH = 1.0
"""Seconds for which a reading is good."""
SHARE, LONGEST = 100.0, 30.0
"""A reading that took long is good for so many times as long, in seconds at most: looking must not be what loads."""
KINDS = 100
"""Kinds that are kept: those that were looked at last."""


class Looks:
    """The last reading of each kind, good for ``fresh`` seconds or longer. A filter may be part of a kind."""

    def __init__(self, fresh: float = FRESH) -> None:
        self._fresh = fresh
        self._guard = Lock()
        self._known: OrderedDict[Hashable, _Look] = OrderedDict()

    def get(self, kind: Hashable, read: Callable[[], T]) -> T:
        """The last reading, or a new one where it is old. Raises what ``read`` raises."""
        with self._guard:
            look = self._known.setdefault(kind, _Look(self._fresh))
            self._known.move_to_end(kind)
            while len(self._known) > KINDS:
                self._known.popitem(last=False)
        value: T = look.get(read)
        return value

    def forget(self) -> None:
        """Read everything anew at the next look: something was changed."""
        with self._guard:
            self._known = OrderedDict()


class _Look:
    def __init__(self, fresh: float) -> None:
        self._fresh = fresh
        self._lock = Lock()
        self._value: Any = None
        self._until = 0.0

    def get(self, read: Callable[[], Any]) -> Any:
        # While one reads, the others have the last value, if there is one.
        if not self._lock.acquire(blocking=not self._until):
            return self._value
        try:
            began = time.monotonic()
            if began >= self._until:
                self._value = read()
                took = time.monotonic() - began
                self._until = began + took + max(self._fresh, min(LONGEST, SHARE * took))
            return self._value
        finally:
            self._lock.release()
