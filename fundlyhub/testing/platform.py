"""Real processes for one test: a relay and a worker on the databases and the broker of this process's settings."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis

import fundlyhub.processors  # noqa: F401  # registers them
from fundlyhub.database import connect
from fundlyhub.embedded.stack import worker_command
from fundlyhub.embedded.supervisor import Service, Supervisor
from fundlyhub.monitoring.status import status
from fundlyhub.processing import registry
from fundlyhub.processing.queues import QUEUES
from fundlyhub.settings import get_settings
from fundlyhub.testing.waiting import wait_until


class Platform:
    """A relay and a worker, which begin with ``start`` and end with the block. Their logs are below ``folder``.

    ::

        def test_a_real_worker_applies_it(fundlyhub_platform):
            fundlyhub_platform.start()
            publish_event(build("donation.completed"))
            assert fundlyhub_platform.settled()["leaderboard"]["applied"] == 1
    """

    def __init__(self, folder: Path) -> None:
        self._supervisor, self._folder = Supervisor(folder / "log"), folder

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._supervisor.stop()

    def start(self, **variables: str) -> None:
        """Start both on an empty broker, and wait until they are ready; ``variables`` are further settings of theirs.

        Raises Unavailable with the last lines of a log.
        """
        with redis.Redis.from_url(get_settings().broker) as broker:
            broker.flushall()
        environment = {**os.environ, "REMAP_SIGTERM": "SIGQUIT", **variables}
        relay = [sys.executable, "-m", "fundlyhub", "relay"]
        self._supervisor.start(
            Service("relay", relay, environment, ready="connected to the log"),
            Service("worker", worker_command("test", QUEUES, 1), environment, ready=" ready."),
        )

    def settled(self, *, timeout: float = 180) -> Mapping[str, Mapping[str, Any]]:
        """Wait until all that is published is relayed and applied, or dead; then how each processor stands.

        The numbers are those of `fundlyhub status`: applied, waiting, retrying and dead, by processor. Raises
        AssertionError, with what still waits and the logs' last lines, when it takes longer than ``timeout`` seconds.
        """
        found: dict[str, Any] = {}
        try:
            wait_until(lambda: self._is_settled(found), timeout=timeout, what="relay and workers")
        except AssertionError as error:
            raise AssertionError(f"{error}: {self._open(found)}\n{self.logs()}") from None
        processors: Mapping[str, Mapping[str, Any]] = found["processors"]
        return processors

    def logs(self, lines: int = 15) -> str:
        """The last lines of what both have logged."""
        parts = []
        for path in sorted((self._folder / "log").glob("*.log")):
            with suppress(OSError):
                parts += [f"{path.name}:", *path.read_text(errors="replace").splitlines()[-lines:]]
        return "\n".join(parts)

    def _is_settled(self, found: dict[str, Any]) -> bool:
        self._supervisor.tend()
        with connect("events", autocommit=True) as db:
            found.update(status(db, registry.load(get_settings().processors)))
        return found["relay"]["lag_events"] == 0 and not self._open(found)

    @staticmethod
    def _open(found: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
        """What waits and what is retried, by processor."""
        stands = {name: (one["waiting"], one["retrying"]) for name, one in found.get("processors", {}).items()}
        return {name: numbers for name, numbers in stands.items() if any(numbers)}
