"""`python -m benchmarks.archived`: what it costs to publish that an archived id is looked for, and by which means.

Three ways in turns: as if nobody looked, by the statements that we have, and by a trigger on the log.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.claims import on_core
from fundlyhub import Event
from fundlyhub.database.migrate import migrate
from fundlyhub.embedded.postgres import Postgres
from fundlyhub.events.publish import _MANY, _ONE, _batches, _values
from fundlyhub.settings import Settings
from tests.support.make import completed
from tests.support.platform import database_dsn

ARCHIVED = (0, 1_000_000)
ROUNDS, BATCH = 40, 1_000
ONE_BY_ONE, WARM = 200, 30
WAYS = ("nobody looks", "statement", "trigger")
"""Each in a database of its own."""

_FILL = "INSERT INTO events.event_ids SELECT gen_random_uuid(), n FROM generate_series(1, %s) AS n"
_LOOK_OF_ONE = "WHERE NOT EXISTS (SELECT FROM events.event_ids WHERE id = CAST(%(id)s AS uuid))"
_LOOK_OF_MANY = "WHERE NOT EXISTS (SELECT FROM events.event_ids i WHERE i.id = g.id OFFSET 0)"
_FUNCTION = "SELECT pg_get_functiondef('events.insert_events'::regproc)"
_TRIGGER = """
    CREATE FUNCTION events.skip_archived() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (SELECT FROM events.event_ids i WHERE i.id = NEW.id) THEN
            RETURN NULL;
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER skip_archived BEFORE INSERT ON events.events FOR EACH ROW EXECUTE FUNCTION events.skip_archived()
"""
Sessions = Mapping[str, psycopg.Connection[Any]]


def main() -> None:
    """Publish in turns, and print the medians and the ratios."""
    with server() as sessions:
        for archived in ARCHIVED:
            for session in sessions.values():
                session.execute(_FILL, (archived,))
                session.commit()
                session.execute("ANALYZE events.event_ids")
                session.commit()
            for what, found in measure(sessions).items():
                print(row(archived, what, found), flush=True)


@contextmanager
def server() -> Iterator[Sessions]:
    """A session in a migrated database for each way."""
    with tempfile.TemporaryDirectory(prefix="fundlyhub-bench-", dir="/var/tmp") as folder, ExitStack() as stack:
        Path(folder).chmod(0o755)
        options = {"fsync": "off", "autovacuum": "off", "shared_buffers": "512MB"}
        postgres = Postgres(Path(folder) / "postgres", options=options).start()
        stack.callback(postgres.stop)
        with psycopg.connect(postgres.dsn, autocommit=True) as db:
            for number in range(len(WAYS)):
                db.execute(f"CREATE DATABASE way_{number}")
        sessions = {}
        for number, way in enumerate(WAYS):
            dsn = database_dsn(postgres.dsn, f"way_{number}")
            migrate(Settings(events_dsn=dsn, app_dsn=dsn, analytics_dsn=dsn))
            sessions[way] = stack.enter_context(psycopg.connect(dsn))
            prepare(sessions[way], way)
        yield sessions


def prepare(db: psycopg.Connection[Any], way: str) -> None:
    """Nobody looks but in the way that we have; a trigger does where it is measured."""
    ((function,),) = db.execute(_FUNCTION).fetchall()
    assert function.count(_LOOK_OF_MANY) == _ONE.sql.count(_LOOK_OF_ONE) == 1
    if way != "statement":
        db.execute(function.replace(_LOOK_OF_MANY, ""))
    if way == "trigger":
        db.execute(_TRIGGER)
    db.commit()


def measure(sessions: Sessions) -> dict[str, list[dict[str, float]]]:
    """Microseconds for an event by each way, in each round: the server's own time on a core, whoever else wants one."""
    rounds: dict[str, list[dict[str, float]]] = {"one": [], "many": []}
    for number in range(ROUNDS):
        first = number % len(WAYS)
        for what, spent in (("one", _one), ("many", _many)):
            found = {way: spent(sessions[way], way) for way in (*WAYS[first:], *WAYS[:first])}
            rounds[what].append(found)
    return rounds


def _one(session: psycopg.Connection[Any], way: str) -> float:
    """One event in each transaction."""
    statement = (_ONE.sql if way == "statement" else _ONE.sql.replace(_LOOK_OF_ONE, "")).encode()
    given = [_values(Event.of(completed()), False) for _ in range(WARM + ONE_BY_ONE)]
    began = 0
    for number, values in enumerate(given):
        if number == WARM:
            began = on_core(session)
        session.execute(statement, values)
        session.commit()
    return (on_core(session) - began) / ONE_BY_ONE / 1e3


def _many(session: psycopg.Connection[Any], way: str) -> float:
    """A thousand in one statement."""
    ((_, batch),) = _batches([Event.of(completed()) for _ in range(BATCH)], True)
    began = on_core(session)
    session.execute(_MANY.sql.encode(), {"batch": batch, "wake": False}).fetchall()
    session.commit()
    return (on_core(session) - began) / BATCH / 1e3


def row(archived: int, what: str, rounds: list[dict[str, float]]) -> str:
    """A row of the table in docs/growth.md: medians; the ratios are those of each round, since the machine changes."""
    plain = statistics.median(found[WAYS[0]] for found in rounds)
    ratios = (statistics.median(found[way] / found[WAYS[0]] for found in rounds) for way in WAYS[1:])
    return f"| {archived:,} | {what} | {plain:.1f} µs | {' | '.join(f'{ratio:.2f}' for ratio in ratios)} |"


if __name__ == "__main__":
    main()
