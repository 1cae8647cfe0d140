"""A database that is full and at rest; each test gets a copy of it."""

from __future__ import annotations

import pytest

from fundlyhub.embedded.postgres import Postgres
from fundlyhub.embedded.valkey import Valkey
from tests.verification import world
from tests.verification.conftest import at_rest

__all__ = ["at_rest"]


@pytest.fixture(scope="session")
def full(postgres: Postgres, valkey: Valkey, template: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of the full database."""
    return world.filled(postgres, valkey, template, "fundlyhub_rebuilt", tmp_path_factory.mktemp("rebuilt"))
