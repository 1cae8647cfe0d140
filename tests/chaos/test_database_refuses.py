"""A database that answers and refuses: read only, or out of connections; no event is charged for it."""

from __future__ import annotations

import contextlib

import psycopg
import pytest

from fundlyhub.embedded.postgres import Postgres
from tests.chaos.arena import DOUBTFUL, Arena
from tests.support.platform import wait_until
from tests.support.reliability import Record

pytestmark = pytest.mark.timeout(900)
END_OTHERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = %s
"""
WRITABLE = "-c default_transaction_read_only=off"


def administer(server: Postgres, *statements: str) -> None:
    """Statements that take effect although the database is read only."""
    with psycopg.connect(server.dsn, autocommit=True, options=WRITABLE) as db:
        for statement in statements:
            db.execute(statement)


def test_a_database_that_is_read_only(arena: Arena, chaos_postgres: Postgres, measured: list[Record]) -> None:
    def fault() -> None:
        administer(chaos_postgres, "ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
        arena.stands_still()
        administer(chaos_postgres, "ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()")

    load, ended = arena.under_load(fault, times=2)
    record = Record("PostgreSQL: read only", arena.broker_name, 2)
    measured.append(arena.settled_and_right(load, record, since=ended, unknown=DOUBTFUL))
    assert charged(arena) == 0


def test_a_database_without_a_free_connection(arena: Arena, chaos_postgres: Postgres, measured: list[Record]) -> None:
    def fault() -> None:
        with contextlib.ExitStack() as hogs:
            db = hogs.enter_context(psycopg.connect(chaos_postgres.dsn, autocommit=True))
            taken = 0
            while True:
                db.execute(END_OTHERS, (arena.platform.dsn.rpartition("/")[2],))
                try:
                    hogs.enter_context(psycopg.connect(chaos_postgres.dsn))
                    taken += 1
                except psycopg.OperationalError as error:
                    assert "too many" in str(error)
                    break
            assert taken > 10
            wait_until(lambda: refusals(arena), what="a process that is refused")

    load, ended = arena.under_load(fault, times=2)
    record = Record("PostgreSQL: connection limit reached", arena.broker_name, 2)
    measured.append(arena.settled_and_right(load, record, since=ended, unknown=DOUBTFUL))
    assert charged(arena) == 0


def refusals(arena: Arena) -> bool:
    """Whether a log speaks of an outage of the database."""
    return any("a database failed" in process.log.read_text(errors="replace") for process in arena.platform.processes)


def charged(arena: Arena) -> int:
    """Events that are given up on, those mails apart that a person is asked about."""
    return int(arena.platform.value("SELECT count(*) FROM events.dead_letters WHERE error_class <> 'OutcomeUnknown'"))
