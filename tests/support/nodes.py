"""pytest-celery's nodes over local processes: what it does to containers, its tests do to these."""

from __future__ import annotations

import signal as signals
from collections.abc import Callable

from pytest_celery import CeleryTestContainer

from tests.support.brokers import Broker
from tests.support.platform import Process, wait_until
from tests.support.rabbitmq import RabbitNode


class LocalNode(CeleryTestContainer):
    """The part of a container that pytest-celery's nodes use. Not its ``__init__``: there is no container."""

    name = id = "local"

    @property
    def status(self) -> str:
        """In Docker's words."""
        return "running" if self.alive() else "exited"

    def alive(self) -> bool:
        """Whether the process runs."""
        raise NotImplementedError

    def reload(self) -> None:
        """Nothing: its state is looked up each time."""

    def teardown(self) -> None:
        """Nothing: whoever made the process ends it."""


class LocalBroker(LocalNode):
    """A broker of the test session. ``url`` is a fresh place in it."""

    def __init__(self, server: Broker, url: str) -> None:
        self.server, self.url = server, url
        self.name = self.id = "rabbitmq" if isinstance(server, RabbitNode) else "valkey"

    @property
    def celeryconfig(self) -> dict[str, str]:
        """Its address, the same from inside and outside."""
        return {"url": self.url, "host_url": self.url}

    def alive(self) -> bool:
        """Whether the server runs."""
        return self.server.pid is not None if isinstance(self.server, RabbitNode) else self.server.alive

    def ready(self) -> bool:
        """It was started, and answered."""
        return self.alive()

    def logs(self) -> str:
        """Nothing that a test looks for."""
        return ""

    def kill(self, signal: str | int = "SIGKILL") -> None:
        """SIGKILL ends it as a crash would; another signal in order, its data kept."""
        if signal in ("SIGKILL", signals.SIGKILL):
            if isinstance(self.server, RabbitNode):
                self.server.settle()  # a queue younger than 5 s would not outlive it: a flaw of 3.10
            self.server.kill()
        elif isinstance(self.server, RabbitNode):
            self.server.halt()
        else:
            self.server.stop()

    def restart(self, timeout: float = 60) -> None:
        """End it in order if it runs, and start it with its data at the same address."""
        if self.alive():
            self.kill("SIGTERM")
        self.up()

    def up(self) -> None:
        """Start it, unless it runs."""
        if not self.alive():
            self.server.start()


class LocalWorker(LocalNode):
    """A worker. ``launch`` starts its process."""

    def __init__(self, launch: Callable[[], Process]) -> None:
        self._launch = launch
        self.process = launch()
        self.name = self.id = f"worker-{self.process.popen.pid}"

    @classmethod
    def worker_name(cls) -> str:
        """The first half of its node name."""
        return "local"

    def alive(self) -> bool:
        """Whether its main process runs."""
        return self.process.popen.poll() is None

    def ready(self) -> bool:
        """Wait until it takes up messages; fails when it ends before."""
        return bool(wait_until(lambda: self.process.said(" ready."), what="the worker"))

    def logs(self) -> str:
        """What it has written since it was started."""
        return self.process.log.read_text(errors="replace")

    def kill(self, signal: str | int = "SIGKILL") -> None:
        """SIGKILL ends it with all its children; another signal goes to the main process alone, and is waited for."""
        if signal in ("SIGKILL", signals.SIGKILL):
            self.process.kill()
            return
        number = signals.Signals[signal] if isinstance(signal, str) else signals.Signals(signal)
        self.process.popen.send_signal(number)
        self.process.popen.wait(60)

    def roll(self) -> None:
        """Start a new one, and end the old one when the new one is ready, as a deploy does."""
        old, self.process = self.process, self._launch()
        self.ready()
        old.terminate()

    def restart(self, timeout: float = 60) -> None:
        """End it in order if it runs, and start a new one."""
        if self.alive():
            self.process.terminate()
        self.process.kill()  # children that a killed main process has left
        self.process = self._launch()
        self.ready()
