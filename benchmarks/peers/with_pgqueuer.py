"""pgqueuer: jobs in PostgreSQL, fetched in batches by asyncpg."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
from pgqueuer import AsyncpgDriver, Job, PgQueuer, Queries

from benchmarks.peers import work
from benchmarks.peers.work import Event

_PUT = "INSERT INTO pgqueuer (priority, status, entrypoint, payload) VALUES (0, 'queued', 'apply', $1)"


def _typed(event: Event) -> tuple[Any, ...]:
    event_id, donation, campaign, currency, donor, amount, at = work.given(event)
    ids = [UUID(one) for one in (event_id, donation, campaign)]
    return *ids, currency, UUID(donor), Decimal(str(amount)), datetime.fromisoformat(at).astimezone(UTC)


async def _setup() -> None:
    db = await asyncpg.connect(work.DSN)
    await Queries(AsyncpgDriver(db)).install()
    await db.close()


async def _fill(file: str) -> None:
    db = await asyncpg.connect(work.DSN)
    queries = Queries(AsyncpgDriver(db))
    for chunk in work.chunks(work.lines(file)):
        await queries.enqueue(["apply"] * len(chunk), [line.encode() for line in chunk], [0] * len(chunk))
    await db.close()


async def _work() -> None:
    pool = await asyncpg.create_pool(work.DSN, min_size=10, max_size=10)
    queue = PgQueuer.from_asyncpg_pool(pool)

    @queue.entrypoint("apply")
    async def apply(job: Job) -> None:
        assert job.payload is not None
        await pool.execute(work.APPLY, *_typed(json.loads(job.payload)))

    await queue.run(batch_size=100)


def publish(events: Sequence[Event]) -> None:
    """Business row and job in one transaction; its trigger notifies."""
    db = work.connection()
    with db.transaction():
        for event in events:
            db.execute(work.BUSINESS, work.business(event))
            db.execute(_PUT, (json.dumps(event).encode(),))


if __name__ == "__main__":
    work.main(
        work=lambda: asyncio.run(_work()),
        fill=lambda file: asyncio.run(_fill(file)),
        publish=publish,
        setup=lambda: asyncio.run(_setup()),
    )
