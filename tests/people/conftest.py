"""The full platform of the tests of verify, of which each test gets a copy to erase people from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fundlyhub.embedded.postgres import Postgres
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.settings import Settings
from fundlyhub.testing.databases import copy_of, environment_of
from tests.verification.world import filled

_filled: list[str] = []
"""Its name, once it is there: another folder imports the fixture, and then there are two."""


@pytest.fixture(scope="session")
def peopled(postgres: Postgres, valkey: Valkey, template: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of the full database."""
    if not _filled:
        _filled.append(filled(postgres, valkey, template, "fundlyhub_people", tmp_path_factory.mktemp("full")))
    return _filled[0]


@pytest.fixture
def at_rest(postgres: Postgres, valkey: Valkey, peopled: str, tmp_path: Path) -> Iterator[Settings]:
    """This process's settings: a copy of the full database."""
    with copy_of(postgres, peopled) as dsn, environment_of(dsn, valkey, tmp_path) as settings:
        yield settings
