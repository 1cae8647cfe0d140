"""A pooled connection whose server is gone is replaced; one that was used just now is not asked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from fundlyhub.database.engines import make_engine
from fundlyhub.database.pinging import IDLE
from fundlyhub.embedded.postgres import Postgres
from fundlyhub.settings import Settings
from tests.support.platform import Platform

PING = '";"'


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    made = make_engine("app", settings)
    yield made
    made.dispose()


def backend(engine: Engine) -> int:
    """Use a connection, and say which."""
    with engine.connect() as db:
        return int(db.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())


def test_it_is_asked_after_a_pause_and_not_before(engine: Engine, tmp_path: Path) -> None:
    with (tmp_path / "trace").open("w+") as trace:
        with engine.connect() as db:
            raw = db.connection.driver_connection
            assert raw is not None
            raw.pgconn.trace(trace.fileno())
        backend(engine)
        assert "pg_backend_pid" in (said := (tmp_path / "trace").read_text())
        assert PING not in said
        time.sleep(IDLE + 0.1)
        backend(engine)
        raw.pgconn.untrace()
    assert PING in (tmp_path / "trace").read_text()


def test_one_that_the_server_has_ended_is_replaced_at_once(engine: Engine, dsn: str, postgres: Postgres) -> None:
    first = backend(engine)
    Platform({}, dsn, None, Path()).execute("SELECT pg_terminate_backend(%s, 5000)", first)
    assert backend(engine) != first
