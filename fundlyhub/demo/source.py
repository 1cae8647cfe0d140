"""Where a run's events come from: transactions of our own, or the example API service over HTTP."""

from __future__ import annotations

from typing import Protocol

from fundlyhub.demo.publisher import Publisher, Tally
from fundlyhub.demo.stream import Stream


class Source(Protocol):
    """What a run asks of it. All of it may raise Unavailable."""

    @property
    def tally(self) -> Tally:
        """What has been committed so far."""

    def rush(self) -> None:
        """Publish all, as fast as it goes; early back when the run is stopped."""

    def donate(self) -> None:
        """One gift, and nothing else."""

    def register(self) -> None:
        """One more user, who is to be welcomed."""


class Direct:
    """Business transactions of this process, with the events in them."""

    def __init__(self, publisher: Publisher, stream: Stream) -> None:
        self._publisher, self._stream = publisher, stream

    @property
    def tally(self) -> Tally:
        """What its writers have committed."""
        return self._publisher.tally

    def rush(self) -> None:
        """The whole stream, by several writers at once."""
        self._publisher.run(self._stream.transactions())

    def donate(self) -> None:
        """One transaction."""
        self._publisher.commit(self._stream.donation())

    def register(self) -> None:
        """One transaction."""
        self._publisher.commit(self._stream.registration())
