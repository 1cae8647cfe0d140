"""What both embedded servers have in common: one child process that is waited for, stopped or killed."""

from __future__ import annotations

import time
from collections.abc import Callable

from fundlyhub.embedded.process import Child
from fundlyhub.errors import Unavailable


class Server:
    """A child process that answers once it is up."""

    _child: Child | None = None

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

    def _await_answer(self, child: Child, answers: Callable[[], bool], *, limit: float) -> None:
        """Wait until it answers; raise Unavailable with its log's last lines when it does not in time."""
        end = time.monotonic() + limit
        while not answers():
            if not child.alive or time.monotonic() > end:
                child.stop()
                raise Unavailable(f"{child.name} did not start: {child.tail()}")
            time.sleep(0.05)
