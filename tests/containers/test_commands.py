"""Each service's very command line, outside a container: they start, work together, are healthy, and end in time."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sysconfig
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from fundlyhub import UserRegistered, publish_events
from fundlyhub.console import users
from fundlyhub.database import connect, get_engine
from fundlyhub.embedded.ports import free_port
from fundlyhub.embedded.postgres import Postgres
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.testing.databases import create_database, database_dsn, drop_database, settings_of
from tests.containers.composed import composed, made_secrets, ours, seconds, secrets_of
from tests.containers.test_dockerfile import instructions
from tests.support.brokers import broker_place
from tests.support.command import dsns
from tests.support.make import completed
from tests.support.platform import Process, wait_until
from tests.support.rabbitmq import RabbitNode

READY = {
    "relay": "connected to the log",
    "ingest": "connected: reading",
    "worker-writes": " ready.",
    "worker-projections": " ready.",
    "worker-notifications": " ready.",
    "worker-broadcasts": " ready.",
    "worker-rebuilds": " ready.",
    "webhooks": "Uvicorn running",
    "metrics": "serving at",
    "console": "Uvicorn running",
    "flower": "Visit me at",
}
"""What each service says when it is up."""


class Machine:
    """The image's and the compose file's environment, on this machine's servers."""

    def __init__(self, dsn: str, servers: Mapping[str, str], folder: Path) -> None:
        ports = {name: str(free_port()) for name in ("WEBHOOKS_PORT", "METRICS_PORT", "CONSOLE_PORT", "FLOWER_PORT")}
        found = ours(composed(ports))
        self.folder, self.processes = folder, dict[str, Process]()
        self._secrets = made_secrets(folder / "secrets")
        url = urlsplit(dsn)
        for file in self._secrets.glob("*_dsn"):  # this machine's servers, by the logins that were made
            login = urlsplit(file.read_text().strip())
            ours_ = url._replace(netloc=f"{login.username}:{login.password}@{url.hostname}:{url.port}")
            self._write(file.name, dsn if file.name == "superuser_dsn" else ours_.geturl())
        for name, value in servers.items():
            self._write(name, value)
        self.services = {name: self._here(name, one) for name, one in found.items() if "profiles" not in one}

    def _write(self, name: str, value: str) -> None:
        (self._secrets / name).unlink(missing_ok=True)
        (self._secrets / name).write_text(f"{value}\n")

    def _here(self, name: str, service: dict[str, Any]) -> dict[str, Any]:
        """The service with its secrets in a folder of its own, in the place of /run/secrets."""
        own = self.folder / "run" / name
        own.mkdir(parents=True)
        for path, source in secrets_of(service).items():
            (own / Path(path).name).symlink_to(self._secrets / source)
        text = json.dumps(service).replace("/run/secrets", str(own)).replace("/run/roles", str(self._secrets / "roles"))
        found: dict[str, Any] = json.loads(text)
        return found

    def environment(self, service: Mapping[str, Any]) -> dict[str, str]:
        """What a container would see, with the virtual environment in the place of the image's."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("FUNDLYHUB_", "FLOWER_"))}
        image = {"REMAP_SIGTERM": "SIGQUIT", "PYTHONUNBUFFERED": "1", "FUNDLYHUB_DATA_DIR": str(self.folder)}
        path = f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}"
        return {**clean, **image, **service["environment"], "PATH": path, "HOSTNAME": socket.gethostname()}

    def run(self, service: Mapping[str, Any], argv: list[str]) -> subprocess.CompletedProcess[str]:
        """A command in a service's place, to its end."""
        return subprocess.run(
            argv,
            env=self.environment(service),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start(self, services: Mapping[str, Mapping[str, Any]]) -> None:
        """The services' command lines, all at once, in processes that are waited for."""
        for name, service in services.items():
            for copy in range(service.get("deploy", {}).get("replicas", 1)):
                argv, environment = service["command"], self.environment(service)
                self.processes[f"{name}-{copy}"] = Process(name, argv, environment, self.folder)
        for name, process in self.processes.items():
            wait_until(partial(process.said, READY[name.rpartition("-")[0]]), what=name)

    def health(self, service: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
        """Its health check, or the image's."""
        if "healthcheck" not in service:
            (check,) = (rest for name, rest in instructions() if name == "HEALTHCHECK")
            return self.run(service, json.loads(check.partition(" CMD ")[2]))
        kind, *argv = service["healthcheck"]["test"]
        return self.run(service, ["/bin/sh", "-c", *argv] if kind == "CMD-SHELL" else argv)


@pytest.fixture
def machine(postgres: Postgres, rabbitmq: RabbitNode, valkey: Valkey, tmp_path: Path) -> Iterator[Machine]:
    """An empty database, a fresh broker, and nothing that runs."""
    name = f"compose_{uuid4().hex[:8]}"
    create_database(postgres, name)
    dsn = database_dsn(postgres.dsn, name)
    with broker_place(rabbitmq) as broker_url:
        machine = Machine(
            dsn,
            {"broker_url": broker_url, "flower_broker_url": broker_url, "redis_url": valkey.database_url(1)},
            tmp_path,
        )
        with settings_of(dsns(dsn)):
            yield machine
        for process in machine.processes.values():
            process.kill()
    drop_database(postgres, name)


def claims() -> set[str]:
    """The processors that have claimed an event."""
    with connect("events") as db:
        rows = db.execute(
            "SELECT processor FROM app.processed_events UNION SELECT processor FROM analytics.processed_events"
        ).fetchall()
    return {name for (name,) in rows}


@pytest.mark.chaos
@pytest.mark.rabbitmq
@pytest.mark.timeout(900)
def test_every_service_starts_works_is_healthy_and_ends_in_time(machine: Machine) -> None:
    services = dict(machine.services)
    migrate = services.pop("migrate")
    without_check = {name: part for name, part in services["worker-writes"].items() if name != "healthcheck"}
    assert machine.health(without_check).returncode == 1, "an empty database has neither roles nor tables yet"
    assert machine.run(migrate, migrate["command"]).returncode == 0
    assert machine.health(without_check).returncode == 0, "the image's own"
    assert set(services) == set(READY)
    with get_engine("events").begin() as db:
        users.add(db, "ann", "operator", None, who="test")  # without users it does not listen
    machine.start(services)

    ada = UserRegistered(user_id=uuid4(), email="ada@example.org", name="Ada", registration_method="email")
    publish_events([completed(), ada])
    wanted = {"campaign_stats", "activity_feed", "email_notification"}
    wait_until(lambda: wanted <= claims(), what="an effect in each kind of processor")

    def ends(name: str) -> tuple[int, float]:
        began = time.monotonic()
        return machine.processes[name].terminate(), time.monotonic() - began

    with ThreadPoolExecutor(3) as threads:
        for name, done in zip(services, threads.map(machine.health, services.values()), strict=True):
            assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
        for name, (status, took) in zip(machine.processes, threads.map(ends, machine.processes), strict=True):
            assert (status, took < seconds(services[name.rpartition("-")[0]]["stop_grace_period"])) == (0, True), name
        gone = [services[name] for name in ("relay", "worker-writes", "flower", "webhooks", "metrics", "console")]
        for service, done in zip(gone, threads.map(machine.health, gone), strict=True):
            assert done.returncode != 0, f"{service['command']} is gone, and called healthy"


def test_the_environment_here_is_the_images() -> None:
    image = dict(part.split("=", 1) for name, rest in instructions() if name == "ENV" for part in rest.split())
    assert image["REMAP_SIGTERM"] == "SIGQUIT"
    assert image["PYTHONUNBUFFERED"] == "1"
