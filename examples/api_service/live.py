"""Numbers of a campaign: read once, or followed while they move."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from sqlalchemy import text

from examples.api_service.database import analytics

PAUSE = 0.25
"""Seconds between two looks at the numbers."""
SILENCE = 15.0
"""Seconds without news after which a reader gets a sign of life: proxies end connections that say nothing."""

STATS = text("""
    SELECT currency, total_raised, donation_count, average_donation, unique_donors, largest_donation, refund_count
    FROM campaign_stats_projection WHERE campaign_id = :campaign ORDER BY currency
""")


async def read_stats(campaign: UUID) -> list[dict[str, Any]]:
    """A campaign's numbers, a row for each currency, as the projection has them now."""
    async with analytics.connect() as db:
        return [dict(row) for row in (await db.execute(STATS, {"campaign": campaign})).mappings()]


async def changes(campaign: UUID) -> AsyncIterator[list[dict[str, Any]] | None]:
    """The numbers at once, and again each time that they have changed; None after a long silence.

    All that a page is told comes from here: another source of news takes the place of this one function.
    """
    told, spoke = None, time.monotonic()
    while True:
        if (now := await read_stats(campaign)) != told:
            told, spoke = now, time.monotonic()
            yield now
        elif time.monotonic() - spoke > SILENCE:
            spoke = time.monotonic()
            yield None
        await asyncio.sleep(PAUSE)


async def server_sent_events(campaign: UUID) -> AsyncIterator[str]:
    """The same in the format that a browser's EventSource reads."""
    async for stats in changes(campaign):
        yield ": nothing new\n\n" if stats is None else f"data: {json.dumps(stats, default=str)}\n\n"
