"""A small platform with something behind each page of the console: traffic, faults, and what people did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub import Event, publish_events, rebuilds
from fundlyhub.channels.breaker.shared import shared_breaker
from fundlyhub.embedded.postgres import Postgres
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.errors import Permanent
from fundlyhub.processing.executor import execute
from fundlyhub.processing.processor import Processor
from fundlyhub.processors.projections.campaign_stats import CampaignStatsProcessor
from fundlyhub.processors.writes.activity_feed import ActivityFeedProcessor
from fundlyhub.rebuilds.filling import go_on
from fundlyhub.settings import get_settings
from fundlyhub.testing.databases import SECRET, copy_of, dsns, settings_of
from tests.console.site import Site, served
from tests.console.test_breakers import fail
from tests.support.brokers import broker_place, fresh_broker_url
from tests.support.make import completed
from tests.support.platform import Platform
from tests.verification.world import BEN, OURS, WELLS, sql

QUEUES = "writes,projections,notifications,broadcasts"
REBUILT = "campaign_stats"
HELD = """
    INSERT INTO events.quarantine (stream, entry_id, digest, type, fields, reason)
    SELECT 'events', '17951136' || n || '00-0', '', 'donation.completed', '[["type", "donation.completed"]]',
           'payload.amount: Input should be a valid decimal'
    FROM generate_series(10, 13) AS n RETURNING id
"""
UNKNOWN = """
    UPDATE app.notifications SET state = 'unknown', reason = 'the provider did not answer in time', sent_at = NULL
    WHERE id IN (SELECT id FROM app.notifications WHERE channel = 'email' AND state = 'sent'
                 ORDER BY position, id LIMIT 3)
    RETURNING id::text
"""
REPORTS = """
    INSERT INTO app.delivery_reports (provider, words, bytes, failed_at, error)
    SELECT 'smtp', '[]', 412, now(), 'no message has this id' FROM generate_series(1, 2)
"""


class BrokenStats(CampaignStatsProcessor, register=False):
    """The statistics of a release with a fault."""

    name = "campaign_stats"

    def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
        """Never works."""
        raise Permanent("the net amount is more than the amount")


class BrokenFeed(ActivityFeedProcessor, register=False):
    """The feed of a release with another one."""

    name = "activity_feed"

    def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
        """Never works."""
        raise Permanent("no text for the kind 'milestone'")


@dataclass(frozen=True, slots=True)
class Stage:
    """A platform, its console, and ids of what stands behind the console's pages."""

    platform: Platform
    site: Site
    letters: Sequence[int]
    quarantined: int
    messages: Sequence[str]
    story: int
    """The position of a donation that mails followed from."""

    def work(self) -> None:
        """A relay and a worker for each queue begin."""
        self.platform.relay()
        self.platform.worker(QUEUES)


@contextmanager
def staged(postgres: Postgres, valkey: Valkey, full: str, folder: Path) -> Iterator[Stage]:
    """A console on a copy of a database that is full and at rest; relay and workers begin later."""
    with copy_of(postgres, full) as dsn, broker_place(valkey) as broker:
        servers = {"FUNDLYHUB_BROKER_URL": broker, "FUNDLYHUB_REDIS_URL": valkey.url}
        files = {"FUNDLYHUB_DATA_DIR": str(folder), "FUNDLYHUB_PROCESSORS": "", "FUNDLYHUB_NOTIFICATION_MAX_AGE": "0"}
        environment = {**dsns(dsn), **SECRET, **servers, **files}
        with (
            settings_of(environment),
            Platform(environment, dsn, valkey, folder) as platform,
            served(folder) as site,
        ):
            platform.environment.update(environment)
            yield _set(platform, site)
        fresh_broker_url(valkey)  # workers that were killed count as alive for a while


def _set(platform: Platform, site: Site) -> Stage:
    letters = [*dead_letters_of(BrokenStats, 5), *dead_letters_of(BrokenFeed, 2)]
    rebuilds.start(get_settings(), OURS, REBUILT, rate=None, who="ann")
    go_on(get_settings(), OURS[REBUILT], seconds=60)
    held, messages = sql(HELD), sql(UNKNOWN)
    sql(REPORTS)
    fail(shared_breaker("fcm", get_settings().redis), "503 Service Unavailable: the service is down")
    _act(site, letters[-1])
    query = "SELECT position FROM app.notifications WHERE template = 'donation_receipt' AND state = 'sent' LIMIT 1"
    return Stage(platform, site, letters, held[0][0], [id for (id,) in messages], sql(query)[0][0])


def dead_letters_of(broken: type[Processor], gifts: int) -> list[int]:
    """Ids of dead letters of so many new donations."""
    made = [completed(WELLS, donor_id=BEN, amount=Decimal(20 + n), currency="EUR") for n in range(gifts)]
    positions = [event.position or 0 for event in publish_events(made)]
    execute(broken, positions)
    return [id for (id,) in sql("SELECT id FROM events.dead_letters WHERE position = ANY (%s) ORDER BY id", positions)]


def _act(site: Site, letter: int) -> None:
    """What people have done before: looked, paused, opened a breaker by hand."""
    visitor = site.visitor("privacy")
    acts: Sequence[tuple[str, Mapping[str, Any]]] = (
        (f"/letters/{letter}/payload", {"reason": "ticket 812"}),
        ("/processors/search_index/pause", {"reason": "the index is being moved", "until": "1h"}),
        ("/breakers/smtp/open", {"reason": "mails with a wrong amount went out"}),
        ("/breakers/smtp/close", {"reason": "the text is mended"}),
    )
    for path, form in acts:
        answer = visitor.post(path, form)
        assert answer.status_code in (200, 303), (path, answer.text)


def paths(stage: Stage) -> Mapping[str, str]:
    """Every page that is read, by the path of its route; some routes have several."""
    letter, message = stage.letters[0], UUID(stage.messages[0])
    (fingerprint,) = sql("SELECT fingerprint FROM events.dead_letters WHERE id = %s", letter)[0]
    group, entry = f"fingerprint={fingerprint}", f"/streams/quarantine/{stage.quarantined}"
    return {
        "overview": "/", "processors": "/processors", "processor": "/processors/campaign_stats",
        "processor-paused": "/processors/search_index", "events": "/events", "story": f"/events/{stage.story}",
        "events-found": "/events?id=nobody", "letters": "/letters", "letter-list": f"/letters/list?{group}",
        "letter": f"/letters/{letter}", "letters-chosen": f"/letters/choose?{group}",
        "breakers": "/breakers", "breaker": "/breakers/fcm", "messages": "/messages", "message": f"/messages/{message}",
        "reports": "/messages/reports", "streams": "/streams", "quarantined": entry,
        "rebuilds": "/rebuilds", "rebuild": f"/rebuilds/{REBUILT}", "audit": "/audit",
        "audit-pauses": "/audit?kind=pauses", "verify": "/verify", "settings": "/settings", "api": "/api",
    }  # fmt: skip
