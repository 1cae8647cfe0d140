"""The cast of a stream in a database: published, taken up by the write and projection processors, and never told of."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.data import CAMPAIGNS
from benchmarks.effects import creditor
from benchmarks.peers import work
from benchmarks.publisher import checked
from benchmarks.stream import PAYOUTS, USERS, Person, Stream, campaign, request, user
from fundlyhub import CampaignCreated, Event, Payload, PayoutRequested, UserRegistered, publish_events
from fundlyhub.processing import NotificationProcessor, registry
from fundlyhub.testing import drain
from fundlyhub.testing.databases import dsns, settings_of

DDL = "CREATE TABLE bench.cast AS SELECT max(position) AS last FROM events.events"
"""The events of the stream come after this one."""
# Whoever takes part in a run finds no message of the cast left to send.
_NEVER_TOLD = """
    INSERT INTO app.processed_events (processor, position, event_id)
    SELECT name, position, id FROM events.events, unnest(%s::text[]) AS name
"""
_REACH = """
    UPDATE app.contacts SET phone = %s, locale = %s, quiet_from = %s, quiet_until = %s WHERE user_id = %s
"""
_DEVICE = "INSERT INTO app.devices (user_id, token) VALUES (%s, %s)"
_WISH = "INSERT INTO app.preferences (user_id, category, channel, wanted) VALUES (%s, %s, %s, %s)"


def fill_cast(dsn: str) -> None:
    """Everybody and everything that is there before any stream."""
    known = registry.processors()
    tellers = [name for name, one in known.items() if issubclass(one, NotificationProcessor)]
    with settings_of({**dsns(dsn), "FUNDLYHUB_SECRET_KEY": "a key for benchmarks"}):
        publish_events(Event.of(payload) for payload in _payloads())
        drain({name: one for name, one in known.items() if name not in tellers})
    with psycopg.connect(dsn) as db, db.cursor() as cursor:
        cursor.executemany(_REACH, list(_reach()))
        cursor.executemany(_DEVICE, [(user(one.number), one.device) for one in _people() if one.device])
        cursor.execute(_NEVER_TOLD, (tellers,))
        cursor.execute(DDL)


def fill_wishes(dsn: str, stream: Stream) -> None:
    """What the cast wants to be told of a stream."""
    with psycopg.connect(dsn) as db, db.cursor() as cursor:
        cursor.executemany(_WISH, list(_wishes(stream)))


def publish_file(dsn: str, file: Path) -> None:
    """The events of a file into the log, in one transaction."""
    with settings_of(dsns(dsn)):
        publish_events(map(checked, work.events(str(file))))


def _people() -> Iterator[Person]:
    return map(Person, range(USERS))


def _payloads() -> Iterator[Payload]:
    for one in _people():
        yield UserRegistered(user_id=user(one.number), email=one.email, name=one.name, registration_method="email")
    for number in range(1, CAMPAIGNS + 1):
        yield CampaignCreated(
            campaign_id=campaign(number), user_id=user(number), slug=f"campaign-{number}",
            title=f"Help number {number}", goal_amount=Decimal(10_000), story="<p>What it is for.</p>", currency="USD",
            status="active", visibility="public",
        )  # fmt: skip
    for number in range(1, PAYOUTS + 1):
        yield PayoutRequested(
            request_id=request(number), user_id=user(creditor(number).number), fundraiser_id=None,
            bank_account_id=request(0), amount_str="250.00", currency="USD", is_first_payout=False, risk_score=5,
        )  # fmt: skip


def _reach() -> Iterator[tuple[Any, ...]]:
    """Quiet hours are far away: whatever hour it is, nothing waits for their end."""
    quiet = datetime.now(UTC) + timedelta(hours=11)
    for one in _people():
        yield one.phone, one.locale, quiet.time(), (quiet + timedelta(minutes=1)).time(), user(one.number)


def _wishes(stream: Stream) -> Iterator[tuple[Any, ...]]:
    for one in _people():
        if one.number in stream.tired:
            for category in ("donations", "social"):
                for channel in ("email", "push"):
                    yield user(one.number), category, channel, False
        elif one.wants_mails_of_follows:
            yield user(one.number), "social", "email", True
