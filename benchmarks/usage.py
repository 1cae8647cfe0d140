"""What processes cost: CPU seconds of whole process trees, those that have ended included, and memory."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self

import psutil

INTERVAL = 1.0
"""Seconds between two looks at the memory."""


def tree(pid: int) -> list[psutil.Process]:
    """A process and all below it."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cpu_seconds(pids: Iterable[int]) -> float:
    """CPU seconds that these processes and theirs have used so far."""
    total = 0.0
    for pid in pids:
        for process in tree(pid):
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
    return total


def memory_mb(pid: int) -> float:
    """Megabytes that a tree alone holds; what processes share counts by its share."""
    total = 0.0
    for process in tree(pid):
        with suppress(psutil.NoSuchProcess):
            total += process.memory_full_info().pss
    return total / 1e6


class Memory:
    """The most that each named process tree held while it was looked at."""

    def __init__(self, pids: Mapping[str, int], *, interval: float = INTERVAL) -> None:
        self._pids, self._interval, self._stop = pids, interval, threading.Event()
        self.peaks = dict.fromkeys(pids, 0.0)
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(self._interval):
            for name, pid in self._pids.items():
                self.peaks[name] = max(self.peaks[name], memory_mb(pid))
