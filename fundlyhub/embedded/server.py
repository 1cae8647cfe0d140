"""Base of the embedded servers: a child process that is started, waited for and stopped."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Self

from fundlyhub.embedded.process import Child
from fundlyhub.errors import Unavailable


class Server(ABC):
    """A child process that answers once it is ready."""

    name: ClassVar[str]
    start_limit: ClassVar[float] = 180.0
    """Seconds."""
    _child: Child | None = None

    @abstractmethod
    def launch(self) -> Child:
        """Start the process without waiting until it answers."""

    @abstractmethod
    def _answers(self) -> bool: ...

    def start(self) -> Self:
        """Start the server and wait until it answers. Raises Unavailable with the log's last lines."""
        child = self._child = self.launch()
        try:
            child.wait_until(self._answers, self.start_limit)
        except Unavailable:
            child.stop()
            raise
        return self

    def restart(self) -> None:
        """Start a server that has died again, at the same address; its clients wait by themselves."""
        self.stop()
        self._child = self.launch()

    @property
    def child(self) -> Child:
        """The process of a started server."""
        assert self._child is not None, f"{self.name} was not started"
        return self._child

    @property
    def alive(self) -> bool:
        """Whether the server runs."""
        return self._child is not None and self._child.alive

    def stop(self) -> None:
        """Stop the server in an orderly way, with all data on disk. Safe to repeat."""
        if self._child is not None:
            self._child.stop()

    def kill(self) -> None:
        """Kill the server, like a crash."""
        if self._child is not None:
            self._child.kill()
