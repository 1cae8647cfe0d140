"""A database that is full and at rest, made once; each test gets a copy of it to break."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from fundlyhub.cli.demo import LATE
from fundlyhub.embedded.postgres import Postgres
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.settings import Settings
from tests.conftest import environment_of
from tests.support.platform import database_dsn
from tests.verification import world

EVENTS = 600


@pytest.fixture(scope="session")
def full(postgres: Postgres, valkey: Valkey, template: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of the full database."""
    name = "fundlyhub_full"
    with psycopg.connect(postgres.dsn, autocommit=True) as db:
        db.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
    folder, impatient = tmp_path_factory.mktemp("full"), {"FUNDLYHUB_NOTIFICATION_PATIENCE": "0", **LATE}
    with environment_of(database_dsn(postgres.dsn, name), valkey, folder, **impatient):
        world.fill(EVENTS)
    return name


@pytest.fixture
def at_rest(postgres: Postgres, valkey: Valkey, full: str, tmp_path: Path) -> Iterator[Settings]:
    """This process's settings: a copy of the full database."""
    name = f"{full}_{tmp_path.name}"[:63]
    with psycopg.connect(postgres.dsn, autocommit=True) as db:
        db.execute(f'CREATE DATABASE "{name}" TEMPLATE "{full}" STRATEGY file_copy')
    with environment_of(database_dsn(postgres.dsn, name), valkey, tmp_path) as settings:
        yield settings
    with psycopg.connect(postgres.dsn, autocommit=True) as db:
        db.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
