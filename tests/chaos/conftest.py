"""pytest-celery's setup over local processes, or over its stock brokers where a Docker daemon answers.

Its plug-in is switched off for all other tests. Here its fixtures are imported, and three of them replaced: broker
and worker are nodes of ours, and there is no result backend. The stock brokers want pytest-docker-tools as well:
`pytest -m "chaos and docker" -p pytest_docker_tools.plugin`.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from pytest_celery import *  # noqa: F403  # its fixtures
from pytest_celery import CeleryTestBroker, CeleryTestSetup, CeleryTestWorker

from fundlyhub.embedded.postgres import Postgres
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.testing.databases import (
    create_database,
    database_dsn,
    drop_database,
    log_in_quickly,
    migrated_template,
    settings_of,
)
from tests.chaos.arena import QUEUES, Arena
from tests.support.brokers import broker_place
from tests.support.command import dsns
from tests.support.nodes import LocalBroker, LocalWorker
from tests.support.platform import Process

_numbers = count(1)
OURS = [pytest.param("rabbitmq", marks=pytest.mark.rabbitmq), "valkey"]
STOCK = [pytest.param(name, marks=pytest.mark.docker) for name in ("celery_rabbitmq_broker", "celery_redis_broker")]
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever is in this folder belongs to the chaos suite."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.chaos)


def docker_answers() -> bool:
    """Whether there is a daemon."""
    address = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    with socket.socket(socket.AF_UNIX) as line:
        return line.connect_ex(address.removeprefix("unix://")) == 0


@pytest.fixture(scope="session")
def chaos_postgres(server_root: Path) -> Iterator[Postgres]:
    """A server that is restarted, filled and locked: not the one that all others rely on. Commits are written."""
    server = Postgres(
        server_root / "chaos-postgres",
        options={
            "fsync": "off",
            "max_connections": "60",
            "superuser_reserved_connections": "0",
            "deadlock_timeout": "50ms",
        },
    )
    server.start()
    log_in_quickly(server)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def chaos_template(chaos_postgres: Postgres) -> str:
    """A migrated database to copy."""
    return migrated_template(chaos_postgres)


@pytest.fixture
def database(chaos_postgres: Postgres, chaos_template: str) -> Iterator[str]:
    """The DSN of a fresh database with all three schemas."""
    name = f"chaos_{next(_numbers)}"
    create_database(chaos_postgres, name, chaos_template)
    yield database_dsn(chaos_postgres.dsn, name)
    if not chaos_postgres.alive:
        chaos_postgres.start()
    drop_database(chaos_postgres, name)


@pytest.fixture(params=[*OURS, *STOCK])
def celery_broker(request: pytest.FixtureRequest) -> Iterator[CeleryTestBroker]:
    """RabbitMQ or Valkey: the session's own, or a container."""
    if request.param.startswith("celery_"):
        if not docker_answers():
            pytest.skip("no Docker daemon answers here")
        yield request.getfixturevalue(request.param)
        return
    server = request.getfixturevalue(request.param)
    with broker_place(server) as url:
        yield CeleryTestBroker(node := LocalBroker(server, url))
        node.up()


@pytest.fixture
def celery_backend_cluster() -> None:
    """There is none: results are what stands in the databases."""


@pytest.fixture
def process_settings() -> dict[str, str]:
    """What a test's processes are to have beside the platform's environment."""
    return {}


@pytest.fixture
def quiet_arena(
    celery_broker: CeleryTestBroker, database: str, chaos_postgres: Postgres, valkey: Valkey, tmp_path: Path
) -> Iterator[Arena]:
    """Servers and proxies, and no process that works."""
    url = celery_broker.config()["host_url"]
    shared = valkey.database_url(1)
    here = {**dsns(database), "FUNDLYHUB_REDIS_URL": shared, "FUNDLYHUB_BROKER_URL": url}
    with settings_of(here), Arena(database, url, shared, celery_broker, tmp_path) as arena:
        yield arena


@pytest.fixture
def celery_worker(quiet_arena: Arena, process_settings: dict[str, str]) -> CeleryTestWorker:
    """A worker that takes up all queues by way of the proxies."""

    def launch() -> Process:
        return quiet_arena.platform.launch_worker(QUEUES, concurrency=2, watched=False, **process_settings)

    return CeleryTestWorker(LocalWorker(launch), app=None)


@pytest.fixture
def arena(quiet_arena: Arena, celery_setup: CeleryTestSetup, process_settings: dict[str, str]) -> Arena:
    """All is up: a relay that leads, and pytest-celery's setup, whose nodes are ready."""
    quiet_arena.relay(**process_settings)
    quiet_arena.setup = celery_setup
    assert celery_setup.ready()
    return quiet_arena
