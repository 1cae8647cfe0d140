"""What a process publishes, for tests/events/test_forks.py: without a session, and what it was told of it."""

from __future__ import annotations

import asyncio
from functools import cache

from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from fundlyhub import publish_event, publish_event_async, publish_events
from fundlyhub.database import get_engine, renew_after_fork
from fundlyhub.settings import get_settings
from tests.support.make import search

EVENTS = 20

Told = list[tuple[str, int | None]]


def one_by_one() -> Told:
    """Each in a transaction of its own."""
    events = [publish_event(search(str(number))) for number in range(EVENTS)]
    return [(str(event.id), event.position) for event in events]


def together() -> Told:
    """All in one."""
    return [(str(event.id), event.position) for event in publish_events(search(str(n)) for n in range(EVENTS))]


def from_coroutines() -> Told:
    """Side by side, in threads of the loop's own."""

    async def publish() -> Told:
        events = await asyncio.gather(*(publish_event_async(search(str(number))) for number in range(EVENTS)))
        return [(str(event.id), event.position) for event in events]

    return asyncio.run(publish())


@cache
def _engine() -> Engine:
    return get_engine("events")


def by_an_engine_that_was_kept() -> Told:
    """Through an engine of ours that the caller took before it forked."""
    with _engine().begin() as session:
        events = [publish_event(search(str(number)), session=session) for number in range(EVENTS)]
    return [(str(event.id), event.position) for event in events]


@cache
def _async_engine() -> AsyncEngine:
    engine = create_async_engine(get_settings().dsn("events").replace("postgresql://", "postgresql+psycopg://"))
    renew_after_fork(engine)
    return engine


def by_an_asynchronous_engine() -> Told:
    """Through one of the caller's own, which it has told us of."""

    async def publish() -> Told:
        async with _async_engine().begin() as session:
            events = [await publish_event_async(search(str(number)), session=session) for number in range(EVENTS)]
        return [(str(event.id), event.position) for event in events]

    return asyncio.run(publish())
