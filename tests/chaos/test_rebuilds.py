"""A rebuild whose processes die in each of its steps: each step has happened or it has not, and no schema is lost.

One walk through start, fill, follow, swap, undo, prune and cancel, while donations are published. At each boundary the
command, worker or relay that is there is killed; in a second walk it is PostgreSQL.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from fundlyhub.embedded.postgres import Postgres
from tests.chaos.arena import Arena
from tests.chaos.load import Load, mixed
from tests.rebuilds.schemas import owned, schemas
from tests.support.platform import wait_until
from tests.support.proxy.trap import When
from tests.support.reliability import Record

STATS = "campaign_stats"
STATE = "SELECT coalesce((SELECT state FROM analytics.rebuilds ORDER BY id DESC LIMIT 1), 'none')"
GIFTS = 2_400
PARTS = 16
"""Parts of the load, one before each fault, as long as there are any."""
FILLED = "^COMMIT of .*UPDATE analytics.rebuild_ranges SET after"
FOLLOWED = "^COMMIT of .*UPDATE analytics.rebuilds SET followed"
SENT = {True: "^basic.publish fundlyhub fundlyhub-rebuilds", False: "^LPUSH rebuilds"}
Victim = Literal["process", "PostgreSQL"]


@dataclass
class Walk:
    """The steps, with a fault at each; ``faults`` counts them."""

    arena: Arena
    server: Postgres
    victim: Victim
    load: Load
    faults: int = 0

    def command(self, verb: str, pattern: str, when: When, *, nth: int = 1) -> None:
        """A command that dies at this statement, or whose database does."""
        self.dies(pattern, when, lambda: self.refused(verb), nth=nth)

    def dies(self, pattern: str, when: When, meanwhile: Callable[[], object] | None = None, *, nth: int = 1) -> None:
        """Whoever executes this statement dies there, or its database; ``meanwhile`` has somebody execute it."""
        strike = self.server.kill if self.victim == "PostgreSQL" else None
        trap = self.arena.database.kill(pattern, when, nth=nth, strike=strike)
        self.load.go_on()
        if meanwhile:
            meanwhile()
        trap.wait()
        self.faults += 1
        if strike:
            self.server.start()
            self.arena.keep_worker()
        assert owned(self.arena.platform.dsn), f"a schema is lost, {when} {pattern}"

    def relay_dies(self) -> bool:
        """Whoever sends a task dies; whether it was the relay."""
        relays = [one.popen.pid for one in self.arena.platform.processes if one.log.name.startswith("relay")]
        victim = self.arena.queue.kill(SENT[self.arena.is_amqp], "before").wait()
        self.faults += 1
        return victim in relays

    def refused(self, verb: str) -> None:
        """The command fails, one way or the other."""
        done = self.arena.platform.run("rebuild", verb, STATS, "--json")
        assert done.returncode == (-9 if self.victim == "process" else 1), (verb, done.stdout, done.stderr)

    def works(self, verb: str, *options: str) -> Any:
        """The document of a command that works."""
        done = self.arena.platform.run("rebuild", verb, STATS, *options, "--json")
        assert done.returncode == 0, (verb, done.stdout, done.stderr)
        return json.loads(done.stdout)

    def state(self) -> str:
        """Of the newest rebuild."""
        return str(self.arena.platform.value(STATE))

    def works_on(self) -> None:
        """A worker of the queue."""
        self.arena.platform.worker("rebuilds", concurrency=1)


def exchanged(walk: Walk, verb: str, before: str, after: str) -> None:
    """A swap or an undoing: nothing has happened until its commit, and all of it with that."""
    for pattern, when, nth in (("^LOCK TABLE", "before", 1), ("^CREATE SCHEMA .* SET SCHEMA ", "after", 1)):
        if walk.victim == "process" or when == "after":
            walk.command(verb, pattern, when, nth=nth)  # type: ignore[arg-type]
            assert walk.state() == before
    commit = f"^COMMIT of .*SET state = '{after}'"
    walk.command(verb, commit, "before")
    assert walk.state() == before
    walk.command(verb, commit, "after")
    assert walk.state() == after


def begun(walk: Walk) -> None:
    """A start that dies has made its schema and its row, or neither."""
    commit = "^COMMIT of .*INSERT INTO analytics.rebuilds"
    walk.command("start", commit, "before")
    assert schemas(walk.arena.platform.dsn) == []
    walk.command("start", commit, "after")
    assert (walk.state(), len(schemas(walk.arena.platform.dsn))) == ("running", 1)


def ended(walk: Walk, verb: str, before: str) -> None:
    """So does a command that drops them."""
    commit = "^COMMIT of .*SET state = 'dropped'"
    walk.command(verb, commit, "before")
    assert walk.state() == before
    walk.command(verb, commit, "after")
    assert (walk.state(), schemas(walk.arena.platform.dsn)) == ("dropped", [])


def filled(walk: Walk) -> None:
    """Pages are filled once, whichever worker dies in one; the relay dies when it sends the next task."""
    walk.dies(FILLED, "before", walk.works_on)
    walk.dies(FILLED, "after")
    if walk.victim == "process":
        while not walk.relay_dies():  # on Valkey a worker sends the task of a child that died again
            walk.works_on()
        walk.arena.relay()
    wait_until(lambda: walk.works("status")["phase"] == "following", timeout=120, what="the first pass")
    walk.dies(FOLLOWED, "before")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("victim", ["process", "PostgreSQL"])
def test_a_rebuild_whose_processes_die_in_each_step(
    arena: Arena, chaos_postgres: Postgres, victim: Victim, measured: list[Record]
) -> None:
    load = mixed(steady=200, gifts=GIFTS, people=0)
    load.start(parts=PARTS)
    walk = Walk(arena, chaos_postgres, victim, load)
    for _ in range(PARTS // 2):
        load.go_on()
    wait_until(lambda: arena.platform.applied(STATS) >= GIFTS / 3, what="claims to rebuild")
    begun(walk)
    filled(walk)
    exchanged(walk, "swap", "running", "swapped")
    exchanged(walk, "undo", "swapped", "undone")
    ended(walk, "prune", "undone")
    walk.works("start")
    ended(walk, "cancel", "running")
    for _ in range(PARTS):
        load.go_on()
    load.join()
    record = Record(f"rebuild: SIGKILL in each step, {victim}", arena.broker_name, walk.faults)
    measured.append(arena.settled_and_right(load, record, since=time.monotonic()))
