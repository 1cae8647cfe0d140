"""A failover of PostgreSQL to a replica: an asynchronous one loses the log's tail, a synchronous one nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import pytest

from fundlyhub import DonationCompleted, Payload, UserFollowedCampaign
from fundlyhub.database import connect
from fundlyhub.embedded.postgres import Postgres
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.testing.databases import (
    SECRET,
    copy_of,
    database_dsn,
    dsns,
    log_in_quickly,
    migrated_template,
    settings_of,
)
from tests.chaos.load import Load
from tests.support.brokers import broker_place
from tests.support.make import campaign, completed
from tests.support.platform import Platform, wait_until
from tests.support.reliability import Record
from tests.support.replica import Replica

pytestmark = pytest.mark.timeout(600)

PROCESSORS = {
    "subscription_write": ("app", "user.followed_campaign"),
    "activity_feed": ("app", "user.followed_campaign campaign.created donation.completed"),
    "campaign_stats": ("analytics", "donation.completed"),
}
"""With the database of their claims, and the types of this load that they take."""
LOG = "SELECT id, position, type FROM events.events"
CLAIMS = "SELECT event_id, position FROM {}.processed_events WHERE processor = %s"
LINES = """
    SELECT one.event_id, one.position FROM activities AS one
    WHERE EXISTS (SELECT FROM timeline_entries AS entry WHERE entry.position = one.position
                  AND entry.occurred_at = one.occurred_at)
"""
RAISED = "SELECT sum(total_raised) FROM campaign_stats_now WHERE campaign_id = ANY (%s)"


class Pair:
    """A primary and its replica, and the DSN of a database by way of both."""

    def __init__(self, root: Path) -> None:
        # Commits are lost with their server, or not: what is tested is what the replica has.
        self.primary = Postgres(root / "primary", options={"fsync": "off"})
        self.replica = Replica(root / "replica", self.primary)

    def start(self) -> None:
        """Both, with a migrated database."""
        self.primary.start()
        log_in_quickly(self.primary)
        self.database = migrated_template(self.primary, "platform")
        self.replica.start()
        self.replica.wait_caught_up()

    @property
    def dsn(self) -> str:
        """Either server, whichever takes writes."""
        one, other = (database_dsn(server.dsn, self.database) for server in (self.primary, self.replica))
        place = other.rpartition("@")[2].partition("/")[0]
        return one.replace("/platform", f",{place}/platform") + "?target_session_attrs=read-write"

    def stop(self) -> None:
        for server in (self.replica, self.primary):
            server.stop()


@pytest.fixture
def servers(server_root: Path, request: pytest.FixtureRequest) -> Iterator[Pair]:
    """Primary and replica; by a parameter the replica must have what is committed."""
    pair = Pair(server_root / f"failover-{uuid4().hex[:8]}")
    try:
        pair.start()
        if getattr(request, "param", "") == "synchronous":
            pair.replica.be_waited_for()
        yield pair
    finally:
        pair.stop()


class Places(NamedTuple):
    """Where the log is, and where the App and the Analytics DB are."""

    log: str
    effects: str


@pytest.fixture
def places(servers: Pair, postgres: Postgres, template: str, request: pytest.FixtureRequest) -> Iterator[Places]:
    """All on the servers that fail over, or a part of it on another one, which loses nothing."""
    with copy_of(postgres, template) as other:
        match getattr(request, "param", "one cluster"):
            case "two clusters":
                yield Places(servers.dsn, other)
            case "the other cluster":
                yield Places(other, servers.dsn)
            case _:
                yield Places(servers.dsn, servers.dsn)


@pytest.fixture
def running(places: Places, valkey: Valkey, tmp_path: Path) -> Iterator[Platform]:
    """A relay and a worker."""
    with broker_place(valkey) as broker:
        urls = {"FUNDLYHUB_BROKER_URL": broker, "FUNDLYHUB_REDIS_URL": valkey.url}
        own = {**dsns(places.log, places.effects, places.effects), **SECRET, **urls}
        environment = {**own, "FUNDLYHUB_DATA_DIR": str(tmp_path), "FUNDLYHUB_CONNECT_TIMEOUT": "2"}
        with settings_of(environment), Platform(environment, places.log, valkey, tmp_path) as platform:
            platform.relay(FUNDLYHUB_PROCESSORS="")
            platform.worker("writes,projections", FUNDLYHUB_PROCESSORS="")
            yield platform


def load(campaigns: Sequence[UUID], gifts: int) -> Load:
    """Campaigns that are created, followed and given to."""
    created: list[Payload] = [campaign(one) for one in campaigns]
    follows = [UserFollowedCampaign(user_id=uuid4(), campaign_id=one, follow_type="user") for one in campaigns]
    return Load([*created, *follows, *(completed(campaigns[n % len(campaigns)]) for n in range(gifts))])


def rows(database: Any, query: str, *values: object) -> list[tuple[Any, ...]]:
    with connect(database, autocommit=True) as db:
        return db.execute(query.encode(), values).fetchall()


def unsettled() -> int:
    """Events of the log that one of their processors has not claimed as what they are."""
    log = rows("events", LOG)
    left = 0
    for name, (database, types) in PROCESSORS.items():
        claims = set(rows(database, CLAIMS.format(database), name))
        left += sum((id, at) not in claims for id, at, kind in log if kind in types.split())
    return left


def is_settled() -> bool:
    try:
        return unsettled() == 0
    except Exception:  # the servers change places
        return False


def parted(lost: Load) -> tuple[Load, Load]:
    """What its service publishes again, since it knows that it was lost; and what nobody misses."""
    both = Load([]), Load([])
    for half, events in zip(both, (lost.events[::2], lost.events[1::2]), strict=True):
        half.events = events
        half.gifts = sum(
            (one.payload.amount for one in events if isinstance(one.payload, DonationCompleted)), Decimal()
        )
    return both


def fail_over(servers: Pair) -> None:
    servers.primary.kill()
    servers.replica.promote()


def check(kept: Load, platform: Platform) -> None:
    """Each event of the log has its line, its claims and its money, and none is a dead letter."""
    log = {id: at for id, at, _ in rows("events", LOG)}
    assert {event.id for event in kept.events} <= log.keys()
    lines = dict(rows("app", LINES))
    assert {id: lines.get(id) for id in (event.id for event in kept.events)} == {
        event.id: log[event.id] for event in kept.events
    }
    campaigns = list({event.payload.campaign_id for event in kept.events})  # type: ignore[attr-defined]
    assert rows("analytics", RAISED, campaigns) == [(Decimal(kept.gifts),)]
    assert rows("events", "SELECT count(*) FROM events.dead_letters") == [(0,)]
    done = platform.run("status", "--json")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("places", ["one cluster", "two clusters"], indirect=True)
def test_after_an_asynchronous_failover_each_event_of_the_log_has_its_effects(
    servers: Pair, running: Platform, measured: list[Record], request: pytest.FixtureRequest
) -> None:
    before = load([uuid4() for _ in range(20)], 100)
    before.publish()
    wait_until(is_settled, what="what comes before")
    servers.replica.wait_caught_up()
    servers.replica.cut_off()
    lost = load([uuid4() for _ in range(40)], 200)
    lost.publish()
    wait_until(is_settled, what="what will be lost")
    fail_over(servers)
    began = time.monotonic()
    again, never = parted(lost)
    other = load([uuid4() for _ in range(60)], 200)
    other.publish()
    again.publish()
    wait_until(is_settled, what="what is in the log now")
    delayed = time.monotonic() - began
    assert not {event.id for event in never.events} & {id for id, _, _ in rows("events", LOG)}
    check(before + other + again, running)
    places = {at for _, at, _ in rows("events", LOG)}
    where = request.node.callspec.params["places"]
    measured.append(Record("PostgreSQL: failover, asynchronous", where, 1, len(places), delayed=delayed))


@pytest.mark.parametrize("places", ["the other cluster"], indirect=True)
def test_effects_that_an_asynchronous_failover_has_lost_are_made_again_by_a_repair(
    servers: Pair, running: Platform, measured: list[Record]
) -> None:
    """The log has everything, and its sweep is past it: claims and effects of the last moments are gone."""
    before = load([uuid4() for _ in range(20)], 100)
    before.publish()
    wait_until(is_settled, what="what comes before")
    servers.replica.wait_caught_up()
    servers.replica.cut_off()
    lost = load([uuid4() for _ in range(40)], 200)
    lost.publish()
    wait_until(is_settled, what="what will be lost")
    fail_over(servers)
    began = time.monotonic()
    wait_until(lambda: rows("app", "SELECT 1") == [(1,)], what="the new primary")
    assert unsettled() > 0
    chosen = [part for name in PROCESSORS for part in ("--processor", name)]
    done = running.run("verify", "--repair", "--grace", "0", "--wait", "50", *chosen)
    assert done.returncode == 0, done.stdout + done.stderr
    assert unsettled() == 0
    delayed = time.monotonic() - began
    measured.append(Record("PostgreSQL: failover, asynchronous", "effects alone", 1, 400, delayed=delayed))
    check(before + lost, running)


@pytest.mark.parametrize("servers", ["synchronous"], indirect=True)
def test_a_synchronous_failover_loses_nothing_that_was_committed(
    servers: Pair, running: Platform, measured: list[Record]
) -> None:
    sent = load([uuid4() for _ in range(100)], 800)
    sent.start(10)
    for _ in range(5):
        sent.go_on()
    wait_until(lambda: len(rows("events", LOG)) > 200, what="some events")
    fail_over(servers)
    began = time.monotonic()
    for _ in range(5):
        sent.go_on()
    sent.join()
    wait_until(is_settled, what="all effects")
    delayed = time.monotonic() - began
    measured.append(Record("PostgreSQL: failover, synchronous", "one cluster", 1, len(sent.events), delayed=delayed))
    check(sent, running)
