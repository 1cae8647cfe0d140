"""Progress of a long command: on stderr, a bar for people or lines for programs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from fundlyhub.cli.output import say


class Tell(Protocol):
    """Show how far it is; a total of 0 is one that is not known."""

    def __call__(self, what: str, done: int, total: int = 0, /) -> None: ...


@contextmanager
def progress_bar(what: str) -> Iterator[Tell]:
    """A bar; nothing where stderr is no terminal."""
    from rich.console import Console  # only where something is shown: a command's help needs none of it
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, disable=not sys.stderr.isatty(), transient=True, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=None)

        def tell(what: str, done: int, total: int = 0, /) -> None:
            bar.update(task, description=what.capitalize(), completed=done, total=total or None)

        yield tell


EVERY = 0.2
"""Seconds between two lines about the same step, for programs."""


@contextmanager
def progress_lines() -> Iterator[Tell]:
    """A JSON document a line: ``what``, ``done``, ``total`` (0 if that is not known)."""
    last, due = "", 0.0

    def tell(what: str, done: int, total: int = 0, /) -> None:
        nonlocal last, due
        now = time.monotonic()
        if what != last or now >= due:
            last, due = what, now + EVERY
            say(json.dumps({"what": what, "done": done, "total": total}), err=True)

    yield tell
