"""The supervisor: starts servers and services in order, restarts dead ones, and stops all in reverse order."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from logging import getLogger
from pathlib import Path
from typing import Protocol

from fundlyhub.embedded.process import Child

log = getLogger(__name__)

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
SERVICES_LIMIT = 6.0
"""Seconds that all services together have to end; their unfinished work continues at the next start."""
SERVER_LIMIT = 1.0
"""Seconds that each server then has: one without clients ends at once."""
START_LIMIT = 180.0
"""Seconds that services have until they are ready: a dozen Python processes begin at once, perhaps on one core."""
HEALTHY_AFTER = 60.0
"""Seconds of running after which earlier deaths no longer count for the pause."""


@dataclass(frozen=True, slots=True)
class Service:
    """A program to keep running. It is ready once its log contains the text ``ready``."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    ready: str
    stop_limit: float = 40.0


class Kept(Protocol):
    """A service or an embedded server that is kept running."""

    @property
    def name(self) -> str: ...
    @property
    def child(self) -> Child: ...
    def restart(self) -> None: ...
    def stop(self) -> None: ...


@dataclass(slots=True)
class _Running:
    what: Kept
    started_at: float
    deaths: int = 0
    restart_at: float | None = None


def pause(deaths: int) -> float:
    """Seconds to wait before the next start, after some deaths in a row."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** max(0, deaths - 1))


@dataclass(slots=True)
class Supervisor:
    """Keeps services and servers running. ``folder`` has the services' logs and pid files."""

    folder: Path
    on_death: Callable[[str, int, float], None] = field(default=lambda name, status, wait: None)
    clock: Callable[[], float] = time.monotonic
    _running: list[_Running] = field(default_factory=list)

    def start(self, *services: Service, limit: float = START_LIMIT) -> None:
        """Start services side by side and wait until all are ready. Raises Unavailable with a log's last lines."""
        starting = [_RunningService(service, self.folder) for service in services]
        for running in starting:
            self.keep(running)
        end = self.clock() + limit
        for running in starting:
            running.child.wait_until(running.is_ready, end - self.clock())

    def keep(self, what: Kept) -> None:
        """Supervise something that has been started: restart it when it dies, stop it at the end."""
        self._running.append(_Running(what, self.clock()))

    def watch(self, stop: threading.Event, *, interval: float = 0.25) -> None:
        """Restart what dies until ``stop`` is set."""
        while not stop.wait(interval):
            self.tend()

    def tend(self) -> None:
        """Check all once."""
        now = self.clock()
        for running in self._running:
            if running.restart_at is not None:
                if now >= running.restart_at:
                    self._restart(running)
            elif not running.what.child.alive:
                self._note_death(running, now)

    def end(self, *names: str) -> None:
        """Stop services or servers for good."""
        ending = [running for running in self._running if running.what.name in names]
        self._running = [running for running in self._running if running.what.name not in names]
        for running in ending:
            running.what.child.ask()
        for running in ending:
            running.what.stop()

    def stop(self) -> list[str]:
        """Stop the services in parallel, then the servers in reverse order; returns the names of those it killed.

        Safe to repeat.
        """
        killed = []
        services = [running.what for running in self._running if isinstance(running.what, _RunningService)]
        end = time.monotonic() + SERVICES_LIMIT
        for service in services:
            service.child.ask()
        while self._running:
            what = self._running.pop().what
            limit = end - time.monotonic() if isinstance(what, _RunningService) else SERVER_LIMIT
            if not what.child.stop(limit):
                killed.append(what.name)
        return killed

    def processes(self) -> dict[str, int]:
        """Process ids by name."""
        return {running.what.name: running.what.child.process.pid for running in self._running}

    def _note_death(self, running: _Running, now: float) -> None:
        running.deaths = 1 if now - running.started_at > HEALTHY_AFTER else running.deaths + 1
        wait = pause(running.deaths)
        running.restart_at = now + wait
        self.on_death(running.what.name, running.what.child.process.returncode, wait)

    def _restart(self, running: _Running) -> None:
        running.what.restart()
        running.started_at, running.restart_at = self.clock(), None


class _RunningService:
    def __init__(self, service: Service, folder: Path) -> None:
        self.name, self._service, self._folder = service.name, service, folder
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder.chmod(0o700)  # it may exist already, with wider rights
        self.child = self._spawn()

    def is_ready(self) -> bool:
        return self._service.ready in self.child.said()

    def restart(self) -> None:
        self.stop()  # end its remaining children
        self.child = self._spawn()

    def stop(self) -> None:
        self.child.stop()

    def _spawn(self) -> Child:
        return Child(
            self.name,
            self._service.argv,
            log=self._folder / f"{self.name}.log",
            pid_file=self._folder / f"{self.name}.pid",
            env=self._service.env,
            stop_limit=self._service.stop_limit,
            # The servers end with the owner too, and a worker that stops without its broker may hang.
            owner_signal=signal.SIGKILL,
            folder=None,  # our own: it may contain modules of FUNDLYHUB_PROCESSORS
        )
