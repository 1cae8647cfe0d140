"""The endpoints. Those that write publish in the transaction of the change; those that read ask the read models.

Run it from the repository's folder: ``uvicorn examples.api_service.app:app``. Authentication is not its subject:
it trusts each id that it is given.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import FastAPI, Header, HTTPException, Request
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from pydantic import ValidationError
from sqlalchemy.exc import IntegrityError

from examples.api_service.bodies import Kind, NewCampaign, NewDonation, NewRefund, NewUser
from examples.api_service.database import (
    Campaign,
    Donation,
    Follow,
    User,
    analytics,
    app_db,
    columns,
    create_tables,
    found,
    own,
    transaction,
)
from examples.api_service.live import stats_with
from examples.api_service.reading import router
from fundlyhub import (
    CampaignCreated,
    ConflictingEvent,
    DonationCompleted,
    DonationRefunded,
    InvalidEvent,
    UserFollowedCampaign,
    UserFollowedUser,
    UserRegistered,
    UserUnfollowedCampaign,
    UserUnfollowedUser,
    WrongUse,
    publish_event_async,
)
from fundlyhub.observability.tracing import start, stop

PAGE = Path(__file__).with_name("page")
"""What a browser shows: numbers that move."""
LONGEST_WAIT = 10.0
"""Seconds that an answer waits for the projection at most."""
Correlation = Annotated[UUID | None, Header(alias="X-Correlation-Id")]
"""What a caller calls its doings; the events of a request carry it on."""
Prefer = Annotated[str | None, Header(pattern=r"^wait=\d{1,2}$")]
"""``Prefer: wait=2`` (RFC 7240): the answer may take two seconds, and then has the new total. Ten at most."""


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    start("example-api")  # traces, when OTEL_TRACES_EXPORTER asks for them: FastAPI makes a span of each request
    await create_tables()
    yield
    stop()
    for engine in (own, app_db, analytics):
        await engine.dispose()


app = FastAPI(title="Example API service", lifespan=lifespan)
app.include_router(router)


@app.post("/users", status_code=201)
async def register(body: NewUser, correlation: Correlation = None) -> dict[str, Any]:
    """Sign up: a mail says welcome."""
    async with transaction() as session:
        user = User(id=uuid4(), name=body.name, email=body.email)
        session.add(user)
        payload = UserRegistered(user_id=user.id, email=user.email, name=user.name, registration_method="email")
        await publish_event_async(payload, session=session, correlation_id=correlation)
    return columns(user)


@app.post("/campaigns", status_code=201)
async def open_campaign(body: NewCampaign, correlation: Correlation = None) -> dict[str, Any]:
    """Open a campaign: it can be found, and stands in its owner's feed."""
    async with transaction() as session:
        await found(session, User, body.owner_id)
        id = uuid4()
        payload = CampaignCreated(
            campaign_id=id, user_id=body.owner_id, title=body.title, slug=f"campaign-{id}", story=body.story,
            goal_amount=body.goal_amount, currency=body.currency, visibility="public", status="active",
        )  # fmt: skip
        event = await publish_event_async(payload, session=session, correlation_id=correlation)
        campaign = Campaign(id=id, created_at=event.timestamp, **body.model_dump(exclude={"story"}))
        session.add(campaign)
    return columns(campaign)


@app.post("/donations", status_code=201)
async def donate(
    body: NewDonation,
    correlation: Correlation = None,
    key: Annotated[UUID | None, Header(alias="Idempotency-Key")] = None,
    prefer: Prefer = None,
) -> dict[str, Any]:
    """Give. A request that is repeated under its Idempotency-Key is one gift.

    One that prefers to wait is answered with the campaign's ``stats``, which contain the gift, or null without them.
    """
    async with transaction() as session:
        if key and (known := await session.get(Donation, key)):
            return same(known, body)
        campaign = await found(session, Campaign, body.campaign_id)
        if body.donor_id:
            await found(session, User, body.donor_id)
        payload = DonationCompleted(
            donation_id=key or uuid4(), campaign_id=campaign.id, donor_id=body.donor_id, amount=body.amount,
            currency=campaign.currency, net_amount=body.amount, payment_provider="example",
            transaction_id=f"pi_{uuid4().hex}", is_anonymous=body.is_anonymous,
        )  # fmt: skip
        event = await publish_event_async(payload, session=session, correlation_id=correlation)
        donation = Donation(id=payload.donation_id, completed_at=event.timestamp, **body.model_dump())
        session.add(donation)
    if prefer is None:
        return columns(donation)
    seconds = min(float(prefer.removeprefix("wait=")), LONGEST_WAIT)  # after the commit: a worker sees nothing before
    return {**columns(donation), "stats": await stats_with(event, campaign.id, seconds=seconds)}


@app.post("/refunds", status_code=201)
async def refund(body: NewRefund, correlation: Correlation = None) -> dict[str, Any]:
    """Give some of a gift back; never more than is left of it."""
    async with transaction() as session:
        donation = await found(session, Donation, body.donation_id, for_update=True)
        donation.refunded += body.amount
        payload = DonationRefunded(
            donation_id=donation.id, original_amount=donation.amount, refund_amount=donation.refunded,
            reason=body.reason, refund_transaction_id=f"re_{uuid4().hex}", initiated_by=body.initiated_by,
            campaign_id=donation.campaign_id,  # for pages that listen; with it, the amount is the sum returned so far
        )  # fmt: skip
        await publish_event_async(payload, session=session, correlation_id=correlation)
        if donation.refunded > donation.amount:  # too late to say no? The event goes with the transaction
            raise HTTPException(409, "more than is left of the gift")
    return {
        "id": payload.refund_transaction_id,
        "donation_id": donation.id,
        "amount": body.amount,
        "refunded": donation.refunded,
    }


@app.put("/users/{follower}/follows/{kind}/{followed}")
async def follow(follower: UUID, kind: Kind, followed: UUID, correlation: Correlation = None) -> dict[str, Any]:
    """Follow a user or a campaign from now on; to follow it twice is to follow it."""
    if followed == follower:
        raise HTTPException(422, "nobody follows himself")
    async with transaction() as session:
        await found(session, User, follower)
        await found(session, User if kind == "user" else Campaign, followed)
        if known := await session.get(Follow, (follower, kind, followed)):
            return columns(known)
        payload: UserFollowedUser | UserFollowedCampaign = (
            UserFollowedUser(follower_id=follower, followed_user_id=followed)
            if kind == "user"
            else UserFollowedCampaign(user_id=follower, campaign_id=followed, follow_type="user")
        )
        event = await publish_event_async(payload, session=session, correlation_id=correlation)
        row = Follow(follower_id=follower, kind=kind, followed_id=followed, since=event.timestamp)
        session.add(row)
    return columns(row)


@app.delete("/users/{follower}/follows/{kind}/{followed}")
async def unfollow(follower: UUID, kind: Kind, followed: UUID, correlation: Correlation = None) -> dict[str, Any]:
    """Follow it no more."""
    async with transaction() as session:
        row = await found(session, Follow, (follower, kind, followed), for_update=True)
        payload: UserUnfollowedUser | UserUnfollowedCampaign = (
            UserUnfollowedUser(follower_id=follower, unfollowed_user_id=followed)
            if kind == "user"
            else UserUnfollowedCampaign(user_id=follower, campaign_id=followed, follow_type="user")
        )
        event = await publish_event_async(payload, session=session, correlation_id=correlation)
        await session.delete(row)
    return {**columns(row), "until": event.timestamp}


@app.exception_handler(ValidationError)
async def refuse_payload(_: Request, error: ValidationError) -> JSONResponse:
    """A payload that breaks a rule of its type, before it came to publishing."""
    faults = error.errors(include_input=False, include_url=False, include_context=False)
    return JSONResponse({"detail": "; ".join(fault["msg"].removeprefix("Value error, ") for fault in faults)}, 422)


@app.exception_handler(InvalidEvent)
@app.exception_handler(WrongUse)
async def refuse(_: Request, error: Exception) -> JSONResponse:
    """An event that breaks a rule. The text names fields and rules, never a value; nothing was committed."""
    return JSONResponse({"detail": str(error)}, 409 if isinstance(error, ConflictingEvent) else 422)


@app.exception_handler(IntegrityError)
async def collide(_: Request, error: Exception) -> JSONResponse:
    """Two requests did the same at the same moment; the other one is committed, with its event."""
    return JSONResponse({"detail": "somebody was quicker: ask again"}, 409)


def same(known: Donation, body: NewDonation) -> dict[str, Any]:
    """The gift that stands under a key already; under another gift's key the answer is 409."""
    if any(getattr(known, name) != value for name, value in body.model_dump().items()):
        raise HTTPException(409, "another gift has this Idempotency-Key")
    return columns(known)


app.mount("/", StaticFiles(directory=PAGE, html=True))
