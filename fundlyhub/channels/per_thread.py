"""One object per thread: for clients that must not be shared by threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar, cast

from fundlyhub.forks import in_each_process

T = TypeVar("T")


class PerThread(Generic[T]):
    """Returns the calling thread's own object, made at the thread's first call. A forked process makes new ones."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        in_each_process(self._begin)

    def _begin(self) -> None:
        self._of_thread = threading.local()

    def __call__(self) -> T:
        try:
            return cast(T, self._of_thread.object)
        except AttributeError:
            made = self._of_thread.object = self._make()
            return made
