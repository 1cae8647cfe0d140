"""One console for the tests of a module, on a database of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from fundlyhub.embedded.postgres import Postgres
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.testing.databases import copy_of, environment_of
from tests.console.site import Site, served
from tests.support.brokers import fresh_broker_url
from tests.verification import world

expect.set_options(timeout=60_000)  # milliseconds: a browser is slow beside three other processes of tests


@pytest.fixture(scope="module")
def site(postgres: Postgres, template: str, valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A console and its users; nothing is known of breakers and sign-ins before."""
    fresh_broker_url(valkey)
    folder: Path = tmp_path_factory.mktemp("console")
    with copy_of(postgres, template) as dsn, environment_of(dsn, valkey, folder), served(folder) as running:
        yield running


@pytest.fixture(scope="session")
def full(postgres: Postgres, valkey: Valkey, template: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a database that is full and at rest."""
    return world.filled(postgres, valkey, template, "fundlyhub_console_full", tmp_path_factory.mktemp("full"))
