"""Progress of a long command that can be stopped, and goes on when it is run again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fundlyhub.cli.progress import Tell, progress_bar
from fundlyhub.cli.wiring import stop_on_signals
from fundlyhub.retention.archives.archive import stopped


@contextmanager
def stoppable_progress() -> Iterator[Tell]:
    """A bar for work that can be gone on with: a signal is heard between two steps, and raises Unavailable."""
    stop = stop_on_signals(limit=None)
    with progress_bar("") as show:

        def tell(what: str, done: int, total: int = 0, /) -> None:
            if stop.is_set():
                raise stopped()
            show(what, done, total)

        yield tell
