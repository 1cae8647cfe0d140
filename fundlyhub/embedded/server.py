"""What both embedded servers have in common: one child process that is waited for, stopped or killed."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import ClassVar, Self

from fundlyhub.embedded.process import Child
from fundlyhub.errors import Unavailable


class Server(ABC):
    """A child process that answers once it is up."""

    name: ClassVar[str]
    start_limit: ClassVar[float]
    """Seconds."""
    _child: Child | None = None

    @abstractmethod
    def launch(self) -> Child:
        """Start the process and do not wait until it answers."""

    @abstractmethod
    def _answers(self) -> bool: ...

    def start(self) -> Self:
        """Start it and wait until it answers. Raises Unavailable with the log's last lines."""
        child = self._child = self.launch()
        end = time.monotonic() + self.start_limit
        while not self._answers():
            if not child.alive or time.monotonic() > end:
                child.stop()
                raise Unavailable(f"{self.name} did not start: {child.tail()}")
            time.sleep(0.05)
        return self

    def restart(self) -> None:
        """Start it again at the same address, after it has died; what uses it waits by itself."""
        self.stop()
        self._child = self.launch()

    @property
    def child(self) -> Child:
        """The process of a server that was started."""
        assert self._child is not None, f"{self.name} was not started"
        return self._child

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._child is not None and self._child.alive

    def stop(self) -> None:
        """Orderly end, all data on disk. Safe to repeat."""
        if self._child is not None:
            self._child.stop()

    def kill(self) -> None:
        """End it as a crash would."""
        if self._child is not None:
            self._child.kill()
