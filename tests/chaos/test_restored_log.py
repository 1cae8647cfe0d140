"""A failover to a log that lost its tail: its positions are used again, by other events."""

from __future__ import annotations

import time

import psycopg
import pytest

from tests.chaos.arena import Arena
from tests.chaos.load import mixed
from tests.support.reliability import Record

TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'events' AND table_type = 'BASE TABLE'"
SEQUENCE = (
    "SELECT setval(pg_get_serial_sequence('events.events', 'position'), (SELECT max(position) FROM events.events))"
)
OVERWRITTEN = "claims held other events at these positions"
KEPT, TAIL = 1_200, 800


class Backup:
    """The whole schema of the log as it is now; ``restore`` makes it so again."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        with psycopg.connect(dsn) as db:
            self._tables = [name for (name,) in db.execute(TABLES).fetchall()]
            db.execute("CREATE SCHEMA backup")
            for name in self._tables:
                db.execute(f'CREATE TABLE backup."{name}" AS TABLE events."{name}"')

    def restore(self) -> None:
        """What came later is forgotten, and so are its positions."""
        with psycopg.connect(self._dsn) as db:
            names = ", ".join(f'events."{name}"' for name in self._tables)
            db.execute(f"TRUNCATE {names}")
            for name in self._tables:
                db.execute(f'INSERT INTO events."{name}" OVERRIDING SYSTEM VALUE SELECT * FROM backup."{name}"')
            db.execute(SEQUENCE)


@pytest.mark.timeout(900)
def test_a_log_that_lost_its_tail(arena: Arena, measured: list[Record]) -> None:
    kept = mixed(KEPT, gifts=100, people=10)
    kept.publish()
    assert not arena.wait_settled(kept)
    backup = Backup(arena.platform.dsn)
    lost = mixed(TAIL, gifts=0, people=0)
    lost.publish()
    assert not arena.wait_settled(kept, lost)
    restart_on(arena, backup)
    again = mixed(TAIL, gifts=0, people=0)
    began = time.monotonic()
    again.publish()
    record = Record(f"log: {TAIL} events lost from its end, positions used again", arena.broker_name, 1)
    measured.append(arena.settled_and_right(kept + again, record, since=began, orphans=TAIL))
    assert OVERWRITTEN in arena.setup.worker.logs()


def restart_on(arena: Arena, backup: Backup) -> None:
    """Everything ends, the log is restored, everything starts."""
    for process in arena.platform.processes:
        process.terminate()
    arena.platform.processes.clear()
    backup.restore()
    arena.relay()
    arena.setup.worker.restart()
