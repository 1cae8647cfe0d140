"""Handlers that do harm: they kill, hang, leak, and get in each other's way; only their own events suffer for it."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from fundlyhub.embedded.postgres import Postgres
from tests.chaos.arena import Arena
from tests.chaos.load import Load
from tests.support.make import search
from tests.support.reliability import Record

EVENTS = 2_000
BATCH = 500
MEMORY = 300
"""Megabytes that a child may have."""


def searches(words: dict[int, str]) -> Load:
    """Searches, some of which say what is to go wrong."""
    return Load(search(words.get(number, "fine")) for number in range(EVENTS))


def run(arena: Arena, load: Load, record: Record, dead: int = 0, timeout: float = 200) -> Record:
    """Publish, and see it through."""
    begun = time.monotonic()
    load.publish()
    return arena.settled_and_right(load, record, since=begun, dead=dead, timeout=timeout)


def dead_positions(arena: Arena) -> list[int]:
    """Those that rest as dead letters."""
    return list(arena.platform.value("SELECT array_agg(position ORDER BY position) FROM events.dead_letters"))


@pytest.mark.timeout(900)
def test_an_event_that_kills_its_worker_dies_alone(arena: Arena, measured: list[Record]) -> None:
    record = Record("handler: kills its process, in a batch of 500", arena.broker_name, 1)
    measured.append(run(arena, searches({BATCH + 240: "kill"}), record, dead=1))
    assert dead_positions(arena) == [BATCH + 241]
    assert arena.platform.value("SELECT error_class FROM events.dead_letters") == "WorkerLost"
    # Three that it killed, and the verdict; more where the sweep's message ran it beside the first.
    assert arena.platform.value("SELECT attempts FROM events.dead_letters") >= 4


class TestTimeLimit:
    """A handler that hangs."""

    @pytest.fixture
    def process_settings(self) -> dict[str, str]:
        """Limits that a test can wait for."""
        return {"FUNDLYHUB_PROJECTIONS_SOFT_TIME_LIMIT": "4", "FUNDLYHUB_PROJECTIONS_TIME_LIMIT": "8"}

    @pytest.mark.timeout(900)
    def test_an_event_that_hangs_dies_alone(self, arena: Arena, measured: list[Record]) -> None:
        record = Record("handler: hangs, in a batch of 500", arena.broker_name, 1)
        measured.append(run(arena, searches({BATCH + 240: "hang"}), record, dead=1))
        assert dead_positions(arena) == [BATCH + 241]


class TestMemoryLimit:
    """A handler that leaks."""

    @pytest.fixture
    def process_settings(self) -> dict[str, str]:
        """A limit that some batches reach."""
        return {"FUNDLYHUB_WORKER_MEMORY_LIMIT": str(MEMORY)}

    @pytest.mark.timeout(900)
    def test_a_child_that_leaks_is_replaced_between_two_batches(self, arena: Arena, measured: list[Record]) -> None:
        leaks = 60
        record = Record(f"handler: leaks {leaks} times 10 MB, {MEMORY} MB allowed", arena.broker_name, leaks)
        step = EVENTS // leaks
        measured.append(run(arena, searches(dict.fromkeys(range(0, leaks * step, step), "leak")), record))
        children = "SELECT count(DISTINCT child) FROM analytics.chaos_effects"
        assert arena.platform.value(children) > 2, "the two that the worker began with, and others"


COLLISIONS = {"deadlock": "deadlock detected", "serialize": "could not serialize access"}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("word", COLLISIONS)
def test_transactions_that_collide_are_run_again(
    arena: Arena, chaos_postgres: Postgres, word: str, measured: list[Record]
) -> None:
    load = searches(dict.fromkeys(range(EVENTS), word))
    before = chaos_postgres.child.said().count(COLLISIONS[word])
    result = run(arena, load, Record(f"transactions: {COLLISIONS[word]}", arena.broker_name, 0))
    collisions = chaos_postgres.child.said().count(COLLISIONS[word]) - before
    assert collisions > 10
    measured.append(replace(result, injected=collisions))


@pytest.mark.timeout(900)
def test_queues_that_are_purged_under_load(arena: Arena, measured: list[Record]) -> None:
    load, ended = arena.under_load(arena.platform.purge, times=3)
    record = Record("broker: every queue purged", arena.broker_name, 3)
    measured.append(arena.settled_and_right(load, record, since=ended))
