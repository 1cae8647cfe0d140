"""Deploys under load: workers and relays are replaced one by one, and nothing is lost, repeated or in doubt."""

from __future__ import annotations

import pytest

from tests.chaos.arena import Arena
from tests.chaos.load import mixed
from tests.support.platform import wait_until
from tests.support.reliability import Record

TIMES = 2
EVENTS = 12_000
"""So many that the work goes on from the first replacement to the last."""


@pytest.fixture
def process_settings() -> dict[str, str]:
    """A stop that a test can wait for."""
    return {"FUNDLYHUB_STOP_LIMIT": "3"}


@pytest.mark.timeout(900)
def test_a_rolling_restart_of_workers_and_relays(arena: Arena, measured: list[Record]) -> None:
    relays = [process for process in arena.platform.processes if process.log.name.startswith("relay")]

    def roll() -> None:
        arena.setup.worker.container.roll()
        relays.append(arena.platform.relay())
        assert relays[-2].terminate() == 0
        wait_until(lambda: relays[-1].said("leading, in epoch"), what="the new relay to lead")

    load, ended = arena.under_load(roll, TIMES, mixed(steady=EVENTS))
    record = Record("deploy: rolling restart of workers and relays", arena.broker_name, TIMES)
    measured.append(arena.settled_and_right(load, record, since=ended))
