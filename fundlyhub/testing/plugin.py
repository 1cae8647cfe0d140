"""A plug-in of pytest: servers for a session, and a migrated database for each test.

It is loaded by name only: ``pytest_plugins = ["fundlyhub.testing.plugin"]`` in a conftest.py, or ``pytest -p
fundlyhub.testing.plugin``. The migrations of installed packages are run too. Nothing starts before a test asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fundlyhub.embedded.postgres import Postgres
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.settings import Settings
from fundlyhub.testing.databases import copy_of, environment_of, migrated_template
from fundlyhub.testing.platform import Platform
from fundlyhub.testing.servers import folder_of_servers, quick_postgres, running_valkey


@pytest.fixture(scope="session")
def fundlyhub_folder() -> Iterator[Path]:
    """The folder of this session's servers."""
    with folder_of_servers() as folder:
        yield folder


@pytest.fixture(scope="session")
def fundlyhub_postgres(fundlyhub_folder: Path) -> Iterator[Postgres]:
    """A PostgreSQL server."""
    with quick_postgres(fundlyhub_folder / "postgres") as server:
        yield server


@pytest.fixture(scope="session")
def fundlyhub_valkey(fundlyhub_folder: Path) -> Iterator[Valkey]:
    """A Valkey server: broker, and the shared state of breakers."""
    with running_valkey(fundlyhub_folder / "valkey") as server:
        yield server


@pytest.fixture(scope="session")
def fundlyhub_template(fundlyhub_postgres: Postgres) -> str:
    """The name of a migrated database that the tests' databases are copied from."""
    return migrated_template(fundlyhub_postgres)


@pytest.fixture
def fundlyhub_dsn(fundlyhub_postgres: Postgres, fundlyhub_template: str) -> Iterator[str]:
    """A fresh migrated database that holds all three schemas; dropped after the test."""
    with copy_of(fundlyhub_postgres, fundlyhub_template) as dsn:
        yield dsn


@pytest.fixture
def fundlyhub_settings(fundlyhub_dsn: str, fundlyhub_valkey: Valkey, tmp_path: Path) -> Iterator[Settings]:
    """This process's settings: a fresh database, Valkey as broker, messages into files below ``tmp_path``."""
    with environment_of(fundlyhub_dsn, fundlyhub_valkey, tmp_path) as ready:
        yield ready


@pytest.fixture
def fundlyhub_platform(fundlyhub_settings: Settings, tmp_path: Path) -> Iterator[Platform]:
    """The same with a real relay and real workers, which start when they are asked for."""
    with Platform(tmp_path) as platform:
        yield platform
