"""Relay and workers die while a command of a rebuild is in the middle of its transaction: it works, and all is right.

test_rebuilds.py kills the command itself and PostgreSQL in each step; here those die that are beside it.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.chaos.arena import Arena
from tests.chaos.load import mixed
from tests.chaos.test_rebuilds import GIFTS, PARTS, STATS
from tests.rebuilds.schemas import owned, schemas
from tests.support.platform import wait_until
from tests.support.reliability import Record

HELD_UP = {
    "start": "LOCK TABLE analytics.rebuilds IN EXCLUSIVE MODE",
    "swap": "SELECT FROM analytics.donation_facts",
    "undo": "SELECT FROM analytics.donation_facts",
}
"""What keeps a command waiting in the middle of its transaction, by its verb."""
WAITS = """
    SELECT count(*) FROM pg_locks JOIN pg_class ON pg_class.oid = relation
    WHERE NOT granted AND relname IN ('rebuilds', 'donation_facts')
      AND mode IN ('RowExclusiveLock', 'AccessExclusiveLock')
"""


def all_die(arena: Arena) -> int:
    """SIGKILL for the relay, the worker of rebuilds and those of live events; how many there were."""
    beside = [
        one
        for one in arena.platform.processes
        if one.popen.poll() is None and one.log.name.startswith(("relay", "worker"))
    ]
    for one in beside:
        one.kill()
    arena.setup.worker.container.kill()
    return len(beside) + 1


def ran_while_they_died(arena: Arena, verb: str) -> int:
    """The command waits, they die, and then it may go on; how many died."""
    with psycopg.connect(arena.platform.dsn) as other, ThreadPoolExecutor(1) as threads:
        other.execute(HELD_UP[verb])
        running = threads.submit(arena.platform.run, "rebuild", verb, STATS, "--json")
        wait_until(lambda: int(arena.platform.value(WAITS)) > 0, what=f"the {verb} to wait")
        died = all_die(arena)
        other.rollback()
        done = running.result(120)
    assert done.returncode == 0, (verb, done.stdout, done.stderr)
    assert owned(arena.platform.dsn)
    return died


def back(arena: Arena) -> None:
    """As a supervisor would."""
    arena.keep_worker()
    arena.relay()
    arena.platform.worker("rebuilds", concurrency=1)


@pytest.mark.timeout(900)
def test_relay_and_workers_die_in_the_middle_of_a_start_a_swap_and_an_undoing(
    arena: Arena, measured: list[Record]
) -> None:
    load = mixed(steady=200, gifts=GIFTS, people=0)
    load.start(parts=PARTS)
    faults = 0
    for verb, state in (("start", "running"), ("swap", "swapped"), ("undo", "undone")):
        for _ in range(PARTS // 4):
            load.go_on()
        faults += ran_while_they_died(arena, verb)
        assert arena.platform.value("SELECT state FROM analytics.rebuilds ORDER BY id DESC LIMIT 1") == state
        back(arena)
        if verb == "start":
            wait_until(
                lambda: '"phase": "following"' in arena.platform.run("rebuild", "status", STATS, "--json").stdout,
                timeout=120, what="the first pass",
            )  # fmt: skip
    assert faults >= 8
    assert arena.platform.run("rebuild", "prune", STATS).returncode == 0
    assert schemas(arena.platform.dsn) == []
    for _ in range(PARTS):
        load.go_on()
    load.join()
    record = Record("rebuild: SIGKILL of relay and workers beside a command", arena.broker_name, faults)
    measured.append(arena.settled_and_right(load, record, since=time.monotonic()))
