"""A plug-in of pytest: real servers, started once a session, and a fresh migrated database for each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from fundlyhub.database import get_engine
from fundlyhub.embedded.postgres import Postgres
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.settings import Settings
from fundlyhub.testing.databases import SECRET, copy_of, dsns, environment_of, migrated_template, settings_of
from fundlyhub.testing.servers import folder_of_servers, quick_postgres, running_valkey
from tests.support.brokers import broker_place
from tests.support.elasticsearch import Peer, made_for_this_machine
from tests.support.platform import Platform
from tests.support.rabbitmq import RabbitNode, available


@pytest.fixture(scope="session")
def server_root() -> Iterator[Path]:
    """The folder of this session's servers, open to the account that PostgreSQL runs as."""
    with folder_of_servers() as root:
        yield root


@pytest.fixture(scope="session")
def postgres(server_root: Path) -> Iterator[Postgres]:
    """A PostgreSQL server that writes no more than it must."""
    with quick_postgres(server_root / "postgres") as server:
        yield server


@pytest.fixture(scope="session")
def valkey(server_root: Path) -> Iterator[Valkey]:
    """A Valkey server."""
    with running_valkey(server_root / "valkey") as server:
        yield server


@pytest.fixture(scope="session")
def rabbitmq(server_root: Path) -> Iterator[RabbitNode]:
    """A private RabbitMQ node; without its binary the test is skipped, on CI it fails."""
    if not available():
        if os.environ.get("CI") == "true":
            pytest.fail("RabbitMQ is not installed, and CI must not do without: see .ci/run")
        pytest.skip("RabbitMQ is not installed (Debian: apt-get install rabbitmq-server)")
    node = RabbitNode(server_root)
    node.start()
    yield node
    node.stop()


@pytest.fixture(scope="session")
def peer(server_root: Path) -> Iterator[Peer]:
    """A server that speaks Elasticsearch's protocol; skipped on machines that it is not made for."""
    if not made_for_this_machine():
        pytest.skip("the Elasticsearch peer is made for Linux on x86_64")
    server = Peer(server_root / "elasticsearch")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def template(postgres: Postgres) -> str:
    """A migrated database that the tests' databases are copied from."""
    return migrated_template(postgres)


@pytest.fixture
def dsn(postgres: Postgres, template: str) -> Iterator[str]:
    """A fresh migrated database that holds all three schemas."""
    with copy_of(postgres, template) as dsn:
        yield dsn


@pytest.fixture
def settings(dsn: str, valkey: Valkey, tmp_path: Path) -> Iterator[Settings]:
    """This process's settings: a fresh database, and Valkey as broker, which no test before has used."""
    with broker_place(valkey), environment_of(dsn, valkey, tmp_path) as ready:
        yield ready


@pytest.fixture
def analytics(settings: Settings) -> Engine:
    """An engine on the Analytics DB of a fresh platform."""
    return get_engine("analytics")


@pytest.fixture(params=["valkey", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)])
def platform(request: pytest.FixtureRequest, dsn: str, valkey: Valkey, tmp_path: Path) -> Iterator[Platform]:
    """A fresh database with a fresh broker, once on Valkey and once on RabbitMQ, for real processes."""
    broker = request.getfixturevalue("rabbitmq") if request.param == "rabbitmq" else valkey
    with broker_place(broker) as broker_url:
        servers = {"FUNDLYHUB_BROKER_URL": broker_url, "FUNDLYHUB_REDIS_URL": valkey.url}
        environment = {**dsns(dsn), **SECRET, **servers, "FUNDLYHUB_DATA_DIR": str(tmp_path)}
        with settings_of(environment), Platform(environment, dsn, broker, tmp_path) as ready:
            yield ready
