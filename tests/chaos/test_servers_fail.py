"""Servers that are restarted or die under load, and lines to them that fail: the platform waits, and goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import pytest

from fundlyhub.embedded.postgres import Postgres
from tests.chaos.arena import DOUBTFUL, Arena
from tests.support.reliability import Record


def restart_in_order(arena: Arena, server: Postgres) -> None:
    """As an operator does it: sessions are ended, everything is written."""
    server.stop()
    server.start()


def crash(arena: Arena, server: Postgres) -> None:
    """Its log is replayed."""
    server.kill()
    server.start()


def restart_broker(arena: Arena, server: Postgres) -> None:
    """In order."""
    arena.setup.broker.restart()
    arena.broker_is_back()


def kill_broker(arena: Arena, server: Postgres) -> None:
    """SIGKILL, and back with what it had written."""
    arena.setup.broker.kill()
    arena.setup.broker.restart()
    arena.broker_is_back()


SERVERS: Mapping[str, Callable[[Arena, Postgres], None]] = {
    "PostgreSQL: fast restart": restart_in_order,
    "PostgreSQL: immediate restart": crash,
    "broker: restart": restart_broker,
    "broker: SIGKILL": kill_broker,
}
LINES = {"database": "PostgreSQL", "queue": "the broker", "shared": "the shared state", "provider": "the provider"}
OUTAGE = 2.0
"""Seconds that a line is away."""


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", SERVERS)
def test_a_server_that_is_restarted_under_load(
    arena: Arena, chaos_postgres: Postgres, name: str, measured: list[Record]
) -> None:
    load, ended = arena.under_load(lambda: SERVERS[name](arena, chaos_postgres), times=2)
    record = Record(name, arena.broker_name, 2)
    measured.append(arena.settled_and_right(load, record, since=ended, unknown=DOUBTFUL))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("how", ["cut", "stall"])
@pytest.mark.parametrize("line", LINES)
def test_a_line_that_is_cut_or_stalls_under_load(arena: Arena, line: str, how: str, measured: list[Record]) -> None:
    proxy = getattr(arena, line)

    def fault() -> None:
        getattr(proxy, how)()
        time.sleep(OUTAGE)  # this long it lasts
        proxy.heal()

    load, ended = arena.under_load(fault, times=2)
    record = Record(f"line to {LINES[line]}: {how} for {OUTAGE:.0f} s", arena.broker_name, 2)
    measured.append(arena.settled_and_right(load, record, since=ended, unknown=DOUBTFUL))
