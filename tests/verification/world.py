"""A platform at rest after traffic of every kind, and short ways to break it and to verify it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

import fundlyhub.processors  # noqa: F401  # registers them
from fundlyhub import CampaignUpdated, Event, Payload, UserProfileUpdated, publish_events
from fundlyhub.cli.demo import LATE
from fundlyhub.database import connect
from fundlyhub.demo.scenario import START
from fundlyhub.embedded.postgres import Postgres
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.events.catalogue.admin import AdminUserDeleted
from fundlyhub.events.catalogue.campaign import CampaignDeleted, CampaignGoalReached
from fundlyhub.events.catalogue.payout import PayoutRequested
from fundlyhub.events.catalogue.project import ProjectUpdateCreated
from fundlyhub.events.catalogue.user import UserFollowedCampaign, UserLoggedIn
from fundlyhub.processing.executor import execute
from fundlyhub.processing.processor import Processor
from fundlyhub.processing.registry import processors
from fundlyhub.processing.routing import batches, wanting
from fundlyhub.processors.event_lookup import EventLookupProcessor  # noqa: F401  # registered, as it is by default
from fundlyhub.relay.cursor import SnapshotCursor
from fundlyhub.relay.registration import register
from fundlyhub.settings import get_settings
from fundlyhub.testing.databases import create_database, database_dsn, environment_of
from fundlyhub.verification import Finding, Report, verify
from tests.notifications.post import registered
from tests.support.make import campaign, completed, refunded
from tests.support.traffic import published

EVENTS = 600
ANN, BEN, GONE, NAMELESS = (UUID(int=n) for n in (901, 902, 903, 904))
WELLS, ROOFS = (UUID(int=n) for n in (911, 912))
GIFT, TWICE, BACK = (UUID(int=n) for n in (921, 922, 923))
OURS = {name: cls for name, cls in processors().items() if cls.__module__.startswith("fundlyhub.")}


def more() -> list[Payload]:
    """What the demo's people never do, so that no table is without rows."""
    return [
        *(registered(user) for user in (ANN, BEN, GONE)),
        UserProfileUpdated(user_id=BEN, changes={"name": "Ben B.", "email": "ben@example.org"}),
        AdminUserDeleted(user_id=GONE, deleted_by=ANN),
        UserProfileUpdated(user_id=NAMELESS, changes={"email": "n@example.org"}),
        UserLoggedIn(user_id=ANN, ip_address="192.0.2.1", user_agent="Firefox", timestamp=START),
        UserLoggedIn(user_id=BEN, ip_address="192.0.2.2", user_agent="Firefox", timestamp=START),
        campaign(WELLS, user_id=ANN), campaign(ROOFS, user_id=ANN, slug="roofs"),
        *(UserFollowedCampaign(user_id=user, campaign_id=WELLS, follow_type="user") for user in (BEN, GONE, NAMELESS)),
        CampaignUpdated.model_validate({"campaignId": WELLS, "userId": ANN, "changes": {"summary": "Water"}}),
        CampaignDeleted(campaign_id=ROOFS, user_id=ANN),
        completed(WELLS, donation_id=GIFT, donor_id=BEN, is_anonymous=False),
        completed(WELLS, donation_id=TWICE, donor_id=BEN), completed(ROOFS, donation_id=TWICE, donor_id=BEN),
        completed(WELLS, donation_id=BACK, donor_id=ANN),
        refunded(BACK, "4.00", initiated_by="system"), refunded(BACK, "9.00"),
        CampaignGoalReached(campaign_id=WELLS, goal_amount=10, total_raised=10, donor_count=1),
        *(
            PayoutRequested(
                request_id=UUID(int=n), user_id=ANN, fundraiser_id=WELLS, bank_account_id=BEN, amount_str="9.00",
                currency="EUR", is_first_payout=True, risk_score=0,
            )
            for n in (931, 932)
        ),
        ProjectUpdateCreated(
            update_id=UUID(int=941), fundraiser_id=WELLS, author_id=ANN, title="First well", body="Water.",
            visibility="public",
        ),
    ]  # fmt: skip


def filled(postgres: Postgres, valkey: Valkey, template: str, name: str, folder: Path) -> str:
    """A new database that is full and at rest; its name."""
    create_database(postgres, name, template)
    impatient = {"FUNDLYHUB_NOTIFICATION_PATIENCE": "0", **LATE}
    with environment_of(database_dsn(postgres.dsn, name), valkey, folder, **impatient):
        fill(EVENTS)
    return name


def fill(events: int) -> None:
    """Traffic, relayed, and taken up by all processors."""
    published(events)
    told = enumerate(more())
    publish_events(Event.of(one, timestamp=START + timedelta(days=1, seconds=second)) for second, one in told)
    relay()
    apply(sorted(OURS.values(), key=lambda cls: cls.queue, reverse=True))  # what messages need to know comes first


def relay() -> None:
    """The relay has handed everything over."""
    with connect("events", autocommit=True) as db:
        register(db, OURS)
        cursor = SnapshotCursor.take(db, "main")
        if cursor.open():
            cursor.move(None)


def apply(some: Iterable[type[Processor]]) -> None:
    """Each of these processors takes up all events that it wants."""
    with connect("events", autocommit=True) as db:
        log = db.execute("SELECT position, type FROM events.events ORDER BY position").fetchall()
    for processor in some:
        wants = wanting(processor)
        for batch in batches(processor, [position for position, kind in log if wants(kind)]):
            execute(processor, batch.positions)


def sql(statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """A statement in the platform's database; its rows."""
    with psycopg.connect(get_settings().dsn("events"), autocommit=True) as db:
        cursor = db.execute(statement, values or None)
        return cursor.fetchall() if cursor.description else []


def verified(*names: str, **options: Any) -> Report:
    """A verification of these processors, by default of all of ours."""
    chosen = {name: cls for name, cls in OURS.items() if not names or name in names}
    return verify(get_settings(), chosen, **{"grace": 0.0, **options})


def found(*names: str, **options: Any) -> list[Finding]:
    """What such a verification lists."""
    return verified(*names, **options).findings.listed
