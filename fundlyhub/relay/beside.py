"""A thread beside the leading relay: it begins and ends with the leadership, and never holds the relay up."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Beside(ABC):
    """A context; inside it ``run`` works in a thread of this name until ``stopping`` is set."""

    patience = 30.0
    """Seconds that the end waits for the thread, which is a daemon: it may be in the middle of something."""

    def __init__(self, name: str) -> None:
        self.stopping = threading.Event()
        self._thread = threading.Thread(target=self.run, name=name, daemon=True)

    @abstractmethod
    def run(self) -> None:
        """Work until stopped; no error may leave it."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stopping.set()
        self._thread.join(timeout=self.patience)
