"""Numbers of a campaign: read once, or followed while they move."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from examples.api_service.database import analytics
from fundlyhub import Event, Unavailable, wait_applied_async
from fundlyhub.settings import get_settings

CHANNELS = ("events:donation.completed", "events:donation.refunded")
"""Streams of the relay's mirror: FUNDLYHUB_MIRROR has to choose these types, or numbers move after a SILENCE only."""
SILENCE = 15.0
"""Seconds after which a page hears from us whatever happens: proxies end connections that say nothing."""
PATIENCE = 10.0
"""Seconds that the projection is waited for: no worker may be up, and an event may be a dead letter."""
PAUSE = 0.05
"""Seconds between two looks."""

STATS = text("""
    SELECT currency, total_raised, donation_count, average_donation, unique_donors, largest_donation, refund_count
    FROM campaign_stats_now WHERE campaign_id = :campaign ORDER BY currency
""")


async def read_stats(campaign: UUID) -> list[dict[str, Any]]:
    """A campaign's numbers, a row for each currency, as the projection has them now."""
    async with analytics.connect() as db:
        return [dict(row) for row in (await db.execute(STATS, {"campaign": campaign})).mappings()]


async def changes(campaign: UUID) -> AsyncIterator[list[dict[str, Any]] | None]:
    """The numbers at once, and again each time that they have changed; None when there was nothing new to tell."""
    told = None
    async for positions in news(campaign):
        with suppress(Unavailable):  # the mirror tells of an event when it is sent to the workers
            await wait_applied_async(positions, "campaign_stats", timeout=PATIENCE)
        now = await read_stats(campaign)
        yield now if now != told else None
        told = now


async def news(campaign: UUID) -> AsyncIterator[set[int]]:
    """Positions of events that concern a campaign, as the mirror tells of them; none at first and after a SILENCE.

    It ends when Redis does not answer: the browser connects again after a moment, and begins with what is true then.
    """
    yield set()
    try:
        async with Redis.from_url(get_settings().streams, decode_responses=True, socket_timeout=2 * SILENCE) as redis:
            seconds, _ = await redis.time()
            # From a little earlier on: what was mirrored just now may not have been in the first numbers.
            seen: dict[Any, Any] = dict.fromkeys(CHANNELS, f"{int(1_000 * (seconds - PATIENCE))}-0")
            spoke = time.monotonic()
            while True:
                found: Any = await redis.xread(seen, block=int(1_000 * SILENCE))
                positions: set[int] = set()
                for channel, entries in found:
                    seen[channel] = entries[-1][0]
                    positions |= {int(event["position"]) for _, event in entries if concerns(event, campaign)}
                if positions or time.monotonic() - spoke >= SILENCE:
                    yield positions
                    spoke = time.monotonic()
                await asyncio.sleep(PAUSE)
    except RedisError:
        return


def concerns(event: dict[str, str], campaign: UUID) -> bool:
    """Whether a mirrored event is about a campaign. The payload holds what the mirror shows of it, ids and amounts."""
    return bool(json.loads(event["payload"]).get("campaignId") == str(campaign))


async def stats_with(event: Event, campaign: UUID, *, seconds: float) -> list[dict[str, Any]] | None:
    """The numbers once they contain this event; None when they do not in time. It is committed, so this never fails.

    The claims of the projection are committed together with the numbers, so they say when these are new enough.
    """
    try:
        applied = await wait_applied_async(event, "campaign_stats", timeout=seconds)
        return await read_stats(campaign) if applied else None
    except (Unavailable, DBAPIError):
        return None


async def server_sent_events(campaign: UUID) -> AsyncIterator[str]:
    """The same in the format that a browser's EventSource reads."""
    async for stats in changes(campaign):
        yield ": nothing new\n\n" if stats is None else f"data: {json.dumps(stats, default=str)}\n\n"
