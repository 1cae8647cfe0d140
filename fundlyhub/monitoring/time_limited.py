"""Parallel jobs with a time limit: a server that hangs delays neither a probe nor a scrape."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock, Thread
from typing import Any

from fundlyhub.errors import Unavailable


@dataclass(slots=True)
class Result:
    """The value or error of a job, its seconds, and the seconds of a processor that it used here."""

    value: Any = None
    error: Exception | None = None
    seconds: float = 0.0
    used: float = 0.0


class Bounded:
    """Runs each job in its own thread. A job that still hangs from an earlier run is not started again."""

    def __init__(self) -> None:
        self._hanging: dict[str, Thread] = {}
        self._lock = Lock()

    def run(self, jobs: Mapping[str, Callable[[], Any]], limit: float) -> dict[str, Result]:
        """Run the jobs and return their results, errors included, after at most ``limit`` seconds."""
        with self._lock:
            under_way = {name: self._begin(name, job) for name, job in jobs.items()}
            end = time.monotonic() + limit
            return {name: self._await(name, *begun, end, limit) for name, begun in under_way.items()}

    def _begin(self, name: str, job: Callable[[], Any]) -> tuple[Thread, Result]:
        result = Result()
        earlier = self._hanging.pop(name, None)
        if earlier is not None and earlier.is_alive():
            return earlier, result
        thread = Thread(target=_run, args=(job, result), name=name, daemon=True)
        thread.start()
        return thread, result

    def _await(self, name: str, thread: Thread, result: Result, end: float, limit: float) -> Result:
        thread.join(max(0.0, end - time.monotonic()))
        if thread.is_alive():
            self._hanging[name] = thread
        if thread.is_alive() or not result.seconds:
            return Result(error=Unavailable(f"no answer within {limit:g} s"), seconds=limit)
        return result


def _run(job: Callable[[], Any], result: Result) -> None:
    began, used = time.monotonic(), time.thread_time()
    try:
        result.value = job()
    except Exception as error:  # the caller decides what it means
        result.error = error
    result.used = time.thread_time() - used
    result.seconds = max(time.monotonic() - began, 1e-6)
