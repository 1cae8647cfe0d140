"""`python -m benchmarks.archived`: what it costs to publish that an archived id is looked for, and by which means.

Three ways in turns: as if nobody looked, by the statements that we have, and by a trigger on the log.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

from benchmarks.claims import on_core
from fundlyhub import Event
from fundlyhub.database.migrate import migrate
from fundlyhub.embedded.postgres import Postgres
from fundlyhub.events.publish import _MANY, _ONE, _batches, _values
from fundlyhub.settings import Settings
from tests.support.make import completed

ARCHIVED = (0, 2_000_000)
ROUNDS, BATCH = 40, 1_000
ONE_BY_ONE = 300
WAYS = ("nobody looks", "statement", "trigger")

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
    CREATE TRIGGER skip_archived BEFORE INSERT ON events.events FOR EACH ROW EXECUTE FUNCTION events.skip_archived();
    ALTER TABLE events.events DISABLE TRIGGER skip_archived
"""


def main() -> None:
    """Publish in turns, and print the medians and the ratios."""
    with server() as db:
        for archived in ARCHIVED:
            db.execute(_FILL, (archived,))
            db.execute("VACUUM ANALYZE events.event_ids")
            for what, found in measure(db).items():
                print(row(archived, what, found), flush=True)


@contextmanager
def server() -> Iterator[psycopg.Connection[Any]]:
    """A migrated server, with what the other two ways want."""
    with tempfile.TemporaryDirectory(prefix="fundlyhub-bench-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        options = {"fsync": "off", "autovacuum": "off", "shared_buffers": "512MB"}
        postgres = Postgres(Path(folder) / "postgres", options=options).start()
        try:
            migrate(Settings(events_dsn=postgres.dsn, app_dsn=postgres.dsn, analytics_dsn=postgres.dsn))
            with psycopg.connect(postgres.dsn, autocommit=True) as db:
                ((function,),) = db.execute(_FUNCTION).fetchall()
                assert function.count(_LOOK_OF_MANY) == _ONE.sql.count(_LOOK_OF_ONE) == 1
                db.execute(function.replace(_LOOK_OF_MANY, "").replace("events.insert_events", "events.insert_blindly"))
                db.execute(_TRIGGER)
                yield db
        finally:
            postgres.stop()


def measure(db: psycopg.Connection[Any]) -> dict[str, dict[str, float]]:
    """Microseconds for an event by each way: medians of the server's own time on a core, whoever else wants one."""
    times: dict[str, dict[str, list[float]]] = {"one": {}, "many": {}}
    sessions = {way: psycopg.connect(db.info.dsn, password=db.info.password) for way in WAYS}
    for number in range(ROUNDS):
        db.execute("TRUNCATE events.events")
        for way in WAYS if number % 2 else reversed(WAYS):
            state = "ENABLE" if way == "trigger" else "DISABLE"
            db.execute(f"ALTER TABLE events.events {state} TRIGGER skip_archived")
            for what, spent in (("one", _one), ("many", _many)):
                times[what].setdefault(way, []).append(spent(sessions[way], way))
    for session in sessions.values():
        session.close()
    return {what: {way: statistics.median(each) for way, each in ways.items()} for what, ways in times.items()}


def _one(session: psycopg.Connection[Any], way: str) -> float:
    """One event in each transaction."""
    statement = (_ONE.sql if way == "statement" else _ONE.sql.replace(_LOOK_OF_ONE, "")).encode()
    given = [_values(Event.of(completed()), False) for _ in range(ONE_BY_ONE)]
    for values in given[:10]:  # plans are made
        session.execute(statement, {**values, "id": uuid4()})
        session.commit()
    began = on_core(session)
    for values in given:
        session.execute(statement, values)
        session.commit()
    return (on_core(session) - began) / ONE_BY_ONE / 1e3


def _many(session: psycopg.Connection[Any], way: str) -> float:
    """A thousand in one statement."""
    statement = _MANY.sql if way == "statement" else _MANY.sql.replace("insert_events", "insert_blindly")
    ((_, batch),) = _batches([Event.of(completed()) for _ in range(BATCH)], True)
    began = on_core(session)
    session.execute(statement.encode(), {"batch": batch, "wake": False}).fetchall()
    session.commit()
    return (on_core(session) - began) / BATCH / 1e3


def row(archived: int, what: str, found: dict[str, float]) -> str:
    """A row of the table in docs/growth.md."""
    plain = found["nobody looks"]
    ratios = " | ".join(f"{found[way]:.1f} µs | {found[way] / plain:.2f}" for way in WAYS[1:])
    return f"| {archived:,} | {what} | {plain:.1f} µs | {ratios} |"


if __name__ == "__main__":
    main()
