"""Each service's very command line, outside a container: they start, work together, are healthy, and end in time."""

from __future__ import annotations

import os
import socket
import subprocess
import sysconfig
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from fundlyhub import UserRegistered, publish_events
from fundlyhub.cli.commands import COMMANDS
from fundlyhub.embedded.ports import free_port
from fundlyhub.embedded.postgres import Postgres
from fundlyhub.embedded.valkey import Valkey
from tests.containers.composed import NEEDED, composed, ours, seconds
from tests.containers.test_dockerfile import instructions
from tests.support.databases import create_database, drop_database, settings_of
from tests.support.make import completed
from tests.support.platform import Process, broker_place, database_dsn, wait_until
from tests.support.rabbitmq import RabbitNode

READY = {
    "relay": "connected to the log",
    "ingest": "",
    "worker-writes": " ready.",
    "worker-projections": " ready.",
    "worker-notifications": " ready.",
    "webhooks": "Uvicorn running",
    "flower": "Visit me at",
}
"""What each service says when it is up; nothing is waited for where that is empty."""


class Machine:
    """The image's and the compose file's environment, on this machine's servers."""

    def __init__(self, servers: Mapping[str, str], folder: Path) -> None:
        ports = {"WEBHOOKS_PORT": str(free_port()), "FLOWER_PORT": str(free_port())}
        self.services = ours(composed({**NEEDED, **servers, **ports}))
        self.folder, self.processes = folder, dict[str, Process]()

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

    def start(self, name: str, service: Mapping[str, Any], copy: int = 1) -> Process:
        """A service's command line, in a process that is waited for."""
        process = Process(name, service["command"], self.environment(service), self.folder)
        self.processes[f"{name}-{copy}"] = process
        wait_until(lambda: process.said(READY[name]), what=name)
        return process

    def health(self, service: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
        """Its health check, or the image's."""
        if "healthcheck" not in service:
            return self.run(service, ["fundlyhub", "migrate", "--check"])
        kind, *argv = service["healthcheck"]["test"]
        return self.run(service, ["/bin/sh", "-c", *argv] if kind == "CMD-SHELL" else argv)


@pytest.fixture
def machine(postgres: Postgres, rabbitmq: RabbitNode, valkey: Valkey, tmp_path: Path) -> Iterator[Machine]:
    """An empty database, a fresh broker, and nothing that runs."""
    name = f"compose_{uuid4().hex[:8]}"
    create_database(postgres, name)
    dsn = database_dsn(postgres.dsn, name)
    servers = {f"FUNDLYHUB_{branch}_DSN": dsn for branch in ("EVENTS", "APP", "ANALYTICS")}
    with broker_place(rabbitmq) as broker_url:
        servers |= {"FUNDLYHUB_BROKER_URL": broker_url, "FUNDLYHUB_REDIS_URL": valkey.database_url(1)}
        with settings_of(servers):
            machine = Machine(servers, tmp_path)
            yield machine
            for process in machine.processes.values():
                process.kill()
    drop_database(postgres, name)


def there(name: str, service: Mapping[str, Any]) -> bool:
    """Whether the command exists: `ingest` comes with a later release."""
    return name != "ingest" or service["command"][1] in COMMANDS


def claims(service: Mapping[str, Any]) -> set[str]:
    """The processors that have claimed an event."""
    with psycopg.connect(service["environment"]["FUNDLYHUB_EVENTS_DSN"]) as db:
        rows = db.execute(
            "SELECT processor FROM app.processed_events UNION SELECT processor FROM analytics.processed_events"
        ).fetchall()
    return {name for (name,) in rows}


@pytest.mark.chaos
@pytest.mark.rabbitmq
@pytest.mark.timeout(300)
def test_every_service_starts_works_is_healthy_and_ends_in_time(machine: Machine) -> None:
    services = {name: service for name, service in machine.services.items() if there(name, service)}
    migrate = services.pop("migrate")
    assert machine.health(services["relay"]).returncode == 1, "an empty database has no tables yet"
    assert machine.run(migrate, migrate["command"]).returncode == 0
    assert set(services) <= set(READY)
    for name, service in services.items():
        for copy in range(service.get("deploy", {}).get("replicas", 1)):
            machine.start(name, service, copy)

    ada = UserRegistered(user_id=uuid4(), email="ada@example.org", name="Ada", registration_method="email")
    publish_events([completed(), ada])
    wanted = {"campaign_stats", "activity_feed", "email_notification"}
    wait_until(lambda: wanted <= claims(services["relay"]), what="an effect in each kind of processor")

    for name, service in services.items():
        done = machine.health(service)
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"

    for name, process in machine.processes.items():
        began, limit = time.monotonic(), seconds(services[name.rpartition("-")[0]]["stop_grace_period"])
        assert process.terminate() == 0, name
        assert time.monotonic() - began < limit, name
    for name in ("worker-writes", "flower", "webhooks"):
        assert machine.health(services[name]).returncode != 0, f"{name} is gone, and called healthy"


def test_the_environment_here_is_the_images() -> None:
    image = dict(part.split("=", 1) for name, rest in instructions() if name == "ENV" for part in rest.split())
    assert image["REMAP_SIGTERM"] == "SIGQUIT"
    assert image["PYTHONUNBUFFERED"] == "1"
