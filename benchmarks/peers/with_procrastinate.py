"""procrastinate: jobs in PostgreSQL, deferred in the business transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import procrastinate
import psycopg
import psycopg_pool
from psycopg.types.json import Jsonb

from benchmarks.peers import work
from benchmarks.peers.work import Event

app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=work.DSN))
_pool: psycopg_pool.AsyncConnectionPool[Any] | None = None


@app.task(name="apply", queue="events")
async def apply(event: Event) -> None:
    """One event's effect, on one of a few connections."""
    assert _pool is not None
    async with _pool.connection() as db:
        await db.execute(work.APPLY, work.given(event), prepare=True)


def setup() -> None:
    """Its own tables."""
    sync = procrastinate.App(connector=procrastinate.SyncPsycopgConnector(conninfo=work.DSN))
    with sync.open():
        sync.schema_manager.apply_schema()


def fill(file: str) -> None:
    """Jobs, a thousand at a time."""
    with app.open():
        for chunk in work.chunks(work.events(file)):
            apply.batch_defer(*({"event": event} for event in chunk))


async def _work() -> None:
    global _pool
    options = {"autocommit": True, "cursor_factory": psycopg.AsyncRawCursor}
    _pool = psycopg_pool.AsyncConnectionPool(work.DSN, min_size=10, max_size=10, kwargs=options, open=False)
    async with _pool, app.open_async():
        await app.run_worker_async(queues=["events"], concurrency=10, delete_jobs="always", listen_notify=True)


_DEFER = """
    SELECT procrastinate_defer_jobs_v1(ARRAY[
        ROW('events', 'apply', 0, NULL, NULL, jsonb_build_object('event', $1::jsonb), NULL)
    ]::procrastinate_job_to_defer_v1[])
"""


def publish(events: Sequence[Event]) -> None:
    """Business row and job in one transaction, by the SQL function behind ``defer``."""
    db = work.connection()
    with db.transaction():
        for event in events:
            db.execute(work.BUSINESS, work.business(event))
            db.execute(_DEFER, (Jsonb(event),))


if __name__ == "__main__":
    work.main(work=lambda: asyncio.run(_work()), fill=fill, publish=publish, setup=setup)
