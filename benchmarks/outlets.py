"""Where messages go in a run: to a provider over HTTP, or to files. Both say what they were given, and when."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, NamedTuple
from urllib.request import urlopen

from benchmarks.effects import Copy
from benchmarks.provider import COUNT, FAKES, TAKEN, WHERE
from benchmarks.stage import PYTHON, Place
from tests.support.platform import wait_until

_TO = re.compile(rb'^(?:To: | *"token": ")([^"\r\n]+)', re.MULTILINE)


class Taken(NamedTuple):
    """A message that was taken, its reference, and when, in seconds since 1970."""

    copy: Copy
    reference: str
    at: float


class Outlet(ABC):
    """Where the messages of one run go."""

    pids: Sequence[int] = ()
    """Processes whose cost is not that of what is measured."""

    @abstractmethod
    def count(self) -> int:
        """How many messages it has taken."""

    @abstractmethod
    def taken(self) -> Sequence[Taken]:
        """The messages that it has taken."""


class OverHttp(Outlet):
    """A provider of all three channels, in a process of its own."""

    def __init__(self, place: Place) -> None:
        process = place.start("provider", [PYTHON, "-m", "benchmarks.provider", str(place.folder)])
        where = place.folder / WHERE

        def is_ready() -> bool:
            place.check_alive()
            return where.exists()

        wait_until(is_ready, what="the provider")
        self._url, self.pids = where.read_text(), (process.popen.pid,)
        for fake in FAKES.values():
            place.environment |= fake(url=self._url).variables(place.folder)
        place.environment["BENCH_PROVIDER"] = self._url

    def count(self) -> int:
        return int(self._asked(COUNT))

    def taken(self) -> Sequence[Taken]:
        rows = (json.loads(line) for line in self._asked(TAKEN).splitlines())
        return [Taken(Copy(channel, to), reference, at) for channel, to, reference, at in rows]

    def _asked(self, path: str) -> str:
        with urlopen(self._url + path, timeout=30) as answer:  # noqa: S310  # our own
            return str(answer.read(), "utf-8")


class ToFiles(Outlet):
    """The folder of the file backends, which are there unless something else is set."""

    _FILES: ClassVar[str] = "*/[0-9]*"

    def __init__(self, place: Place) -> None:
        self._folder = place.folder / "outbox"

    def count(self) -> int:
        return sum(1 for _ in self._folder.glob(self._FILES))

    def taken(self) -> Sequence[Taken]:
        found = []
        for file in self._folder.glob(self._FILES):
            to = _TO.search(file.read_bytes())
            copy = Copy(file.parent.name, to[1].decode() if to else "")
            found.append(Taken(copy, file.stem.split("-", 1)[1], file.stat().st_mtime))
        return found
