"""The supervisor: starts services in order, restarts what dies, stops all in reverse order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from logging import getLogger
from pathlib import Path

from fundlyhub.embedded.process import Child
from fundlyhub.errors import Unavailable

log = getLogger(__name__)

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
HEALTHY_AFTER = 60.0
"""Seconds; a service that ran so long starts again without the pauses of its earlier deaths."""
LARGEST_LOG = 20_000_000
"""Bytes; a larger log is put aside at the next start."""


@dataclass(frozen=True, slots=True)
class Service:
    """A program to be kept running. ``ready`` is a text in its log that says that it is."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    ready: str
    stop_limit: float = 40.0


@dataclass(slots=True)
class _Running:
    service: Service
    child: Child
    started_at: float
    log_from: int
    deaths: int = 0
    restart_at: float | None = None


def pause(deaths: int) -> float:
    """Seconds to wait before the next start, after so many deaths in a row."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** max(0, deaths - 1))


@dataclass(slots=True)
class Supervisor:
    """Keeps services running. ``folder`` holds their logs and pid files."""

    folder: Path
    on_death: Callable[[str, int, float], None] = field(default=lambda name, status, wait: None)
    clock: Callable[[], float] = time.monotonic
    _running: list[_Running] = field(default_factory=list)

    def start(self, service: Service, *, limit: float = 60.0) -> None:
        """Start a service and wait until it is ready. Raises Unavailable with its log's last lines."""
        running = self._spawn(service)
        self._running.append(running)
        end = self.clock() + limit
        while not self._is_ready(running):
            if not running.child.alive or self.clock() > end:
                raise Unavailable(f"{service.name} did not start: {running.child.tail()}")
            time.sleep(0.05)

    def watch(self, stop: threading.Event, *, interval: float = 0.25) -> None:
        """Restart what dies, until ``stop`` is set."""
        while not stop.wait(interval):
            self.tend()

    def tend(self) -> None:
        """One look at all services."""
        now = self.clock()
        for running in self._running:
            if running.restart_at is not None:
                if now >= running.restart_at:
                    self._restart(running)
            elif not running.child.alive:
                self._note_death(running, now)

    def stop(self) -> None:
        """Stop all, the last one first. Safe to repeat."""
        while self._running:
            self._running.pop().child.stop()

    def processes(self) -> dict[str, int]:
        """The process id of each service."""
        return {running.service.name: running.child.process.pid for running in self._running}

    def _note_death(self, running: _Running, now: float) -> None:
        running.deaths = 1 if now - running.started_at > HEALTHY_AFTER else running.deaths + 1
        wait = pause(running.deaths)
        running.restart_at = now + wait
        self.on_death(running.service.name, running.child.process.returncode, wait)

    def _restart(self, running: _Running) -> None:
        running.child.stop()  # what is left of its children
        fresh = self._spawn(running.service)
        running.child, running.started_at, running.log_from = fresh.child, fresh.started_at, fresh.log_from
        running.restart_at = None

    def _spawn(self, service: Service) -> _Running:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{service.name}.log"
        if path.exists() and path.stat().st_size > LARGEST_LOG:
            path.rename(path.with_suffix(".log.1"))
        size = path.stat().st_size if path.exists() else 0
        child = Child(
            service.name,
            service.argv,
            log=path,
            pid_file=self.folder / f"{service.name}.pid",
            env=service.env,
            stop_limit=service.stop_limit,
        )
        return _Running(service, child, self.clock(), size)

    def _is_ready(self, running: _Running) -> bool:
        with running.child.log.open("rb") as file:
            file.seek(running.log_from)
            return running.service.ready.encode() in file.read()
