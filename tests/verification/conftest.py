"""A database that is full and at rest, made once; each test gets a copy of it to break."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fundlyhub.embedded.postgres import Postgres
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.settings import Settings
from fundlyhub.testing.databases import copy_of, environment_of
from tests.verification import world


@pytest.fixture(scope="session")
def full(postgres: Postgres, valkey: Valkey, template: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of the full database."""
    return world.filled(postgres, valkey, template, "fundlyhub_full", tmp_path_factory.mktemp("full"))


@pytest.fixture
def at_rest(postgres: Postgres, valkey: Valkey, full: str, tmp_path: Path) -> Iterator[Settings]:
    """This process's settings: a copy of the full database."""
    with copy_of(postgres, full) as dsn, environment_of(dsn, valkey, tmp_path) as settings:
        yield settings
