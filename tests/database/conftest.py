"""Empty databases, as a new installation finds them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import uuid4

import psycopg
import pytest

from fundlyhub.embedded.postgres import Postgres
from fundlyhub.testing.databases import database_dsn


@pytest.fixture
def empty_database(postgres: Postgres) -> Iterator[Callable[[], str]]:
    """Makes empty databases; each call gives another one's DSN."""
    names: list[str] = []

    def make() -> str:
        names.append(f"empty_{uuid4().hex}")
        with psycopg.connect(postgres.dsn, autocommit=True) as db:
            db.execute(f'CREATE DATABASE "{names[-1]}" TEMPLATE template0 STRATEGY file_copy')
        return database_dsn(postgres.dsn, names[-1])

    yield make
    with psycopg.connect(postgres.dsn, autocommit=True) as db:
        for name in names:
            db.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
