"""The endpoints that read: own tables for what the service said itself, read models for what follows from events."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from sqlalchemy import select

from examples.api_service.database import Campaign, analytics, app_db, columns, found, transaction
from examples.api_service.live import read_stats, server_sent_events
from fundlyhub.processors.projections.search_index.reading import search
from fundlyhub.processors.shared.last_writer_fields import Entity
from fundlyhub.processors.writes.activity_feed.reading import Page, home_feed, profile_feed

router = APIRouter()


@router.get("/campaigns")
async def newest() -> list[dict[str, Any]]:
    """The newest campaigns."""
    async with transaction() as session:
        rows = await session.scalars(select(Campaign).order_by(Campaign.created_at.desc()).limit(10))
        return [columns(row) for row in rows]


@router.get("/campaigns/{campaign}")
async def show(campaign: UUID) -> dict[str, Any]:
    """A campaign, with its numbers as the projection has them."""
    async with transaction() as session:
        return {**columns(await found(session, Campaign, campaign)), "stats": await read_stats(campaign)}


@router.get("/campaigns/{campaign}/live")
async def live(campaign: UUID) -> StreamingResponse:
    """Its numbers while they move, as server-sent events."""
    async with transaction() as session:
        await found(session, Campaign, campaign)
    return StreamingResponse(server_sent_events(campaign), media_type="text/event-stream",
                             headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})  # fmt: skip


@router.get("/campaigns/{campaign}/feed")
async def what_happened(campaign: UUID) -> list[dict[str, Any]]:
    """What happened to a campaign, the newest first."""
    async with app_db.connect() as db:
        return lines(await db.run_sync(profile_feed, Entity("campaign", campaign)))


@router.get("/users/{user}/feed")
async def feed(user: UUID) -> list[dict[str, Any]]:
    """What those that a user follows did, the newest first."""
    async with app_db.connect() as db:
        return lines(await db.run_sync(home_feed, user))


@router.get("/search")
async def find(q: str = "", kind: str = "campaign") -> dict[str, Any]:
    """What everybody may find: words, beginnings of words, or nearly the words."""
    async with analytics.connect() as db:
        results = await db.run_sync(lambda sync: search(kind, q, size=10, db=sync))
    return {"total": results.total, "hits": [hit._asdict() for hit in results.hits]}


def lines(page: Page) -> list[dict[str, Any]]:
    """A page of a feed as it is answered."""
    return [{"at": line.occurred_at, "text": line.text} for line in page.lines]
