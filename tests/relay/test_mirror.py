"""The mirror beside the relay: live subscribers see what is committed, and a stream that is down is nobody else's."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from pydantic import SecretStr

from fundlyhub import publish_event, publish_events
from fundlyhub.database import connect
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.relay.cursor import SnapshotCursor
from fundlyhub.relay.mirror import PAGE, Mirror, take
from fundlyhub.settings import Settings
from tests.support.make import campaign, completed, initiated, search
from tests.support.platform import Platform, wait_until
from tests.support.processors import TABLES
from tests.support.proxy import Proxy, RespWire
from tests.support.rabbitmq import long_on_rabbitmq
from tests.support.urls import port_of, through

CHANNEL = "events:donation.completed"


class Subscriber:
    """Somebody who reads a channel."""

    def __init__(self, url: str) -> None:
        self.redis = redis.Redis.from_url(url, decode_responses=True)

    def saw(self, channel: str = CHANNEL) -> list[dict[str, str]]:
        """All that is there."""
        found: Any = self.redis.xrange(channel)
        return [fields for _, fields in found]

    def ids(self, channel: str = CHANNEL) -> list[str]:
        """The ids of the events."""
        return [fields["id"] for fields in self.saw(channel)]


@pytest.fixture
def subscriber(valkey: Valkey) -> Iterator[Subscriber]:
    """On a numbered database where nothing is."""
    found = Subscriber(valkey.database_url(4))
    found.redis.flushdb()
    with found.redis:
        yield found


@pytest.fixture
def log(settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    with connect("events", autocommit=True) as db:
        yield db


def mirror_of(settings: Settings, valkey: Valkey, **changes: Any) -> Mirror:
    """A mirror of donations that writes where the subscriber reads."""
    streams = {"streams_url": SecretStr(valkey.database_url(4)), "mirror": "donation.*"}
    return Mirror(settings.model_copy(update={**streams, **changes}))


def test_it_begins_with_what_comes_and_shows_each_event_on_its_channel(
    settings: Settings, valkey: Valkey, log: psycopg.Connection[Any], subscriber: Subscriber
) -> None:
    publish_event(completed())
    mirror, cursor = mirror_of(settings, valkey), take(log)
    given, begun = publish_event(completed()), publish_event(initiated())
    publish_events([search("a"), campaign()])
    assert mirror.mirror(cursor) == 4
    assert subscriber.ids() == [str(given.id)]
    assert subscriber.ids("events:donation.initiated") == [str(begun.id)]
    assert subscriber.redis.keys("events:*campaign*") == []
    (seen,) = subscriber.saw()
    assert (seen["position"], json.loads(seen["payload"])["amount"]) == (str(given.position), 10.00)
    assert mirror.mirror(cursor) == 0


def test_an_event_that_breaks_its_rules_holds_up_nobody(
    settings: Settings, valkey: Valkey, log: psycopg.Connection[Any], subscriber: Subscriber
) -> None:
    mirror, cursor = mirror_of(settings, valkey, mirror="**"), take(log)
    log.execute("SELECT events.publish_event('donation.completed', '{}')")
    log.execute("SELECT events.publish_event('never.heard_of', '{}')")
    good = publish_event(completed())
    mirror.mirror(cursor)
    assert subscriber.ids() == [str(good.id)]


def test_a_channel_is_capped(
    settings: Settings, valkey: Valkey, log: psycopg.Connection[Any], subscriber: Subscriber
) -> None:
    mirror, cursor = mirror_of(settings, valkey, mirror_length=100), take(log)
    last = publish_events(completed() for _ in range(PAGE + 500))[-1]
    while mirror.mirror(cursor):
        pass
    assert 100 <= len(subscriber.ids()) <= 300
    assert subscriber.ids()[-1] == str(last.id)


def test_what_was_sent_and_not_noted_is_sent_again(
    settings: Settings, valkey: Valkey, log: psycopg.Connection[Any], subscriber: Subscriber
) -> None:
    take(log)
    given = publish_event(completed())

    class Dies(Exception):
        """As a process does."""

    class Cursor(SnapshotCursor):
        """Ends before it notes anything."""

        def move(self, after: int | None) -> None:
            raise Dies

    with pytest.raises(Dies):
        mirror_of(settings, valkey).mirror(Cursor.take(log, "mirror"))
    mirror_of(settings, valkey).mirror(take(log))
    assert subscriber.ids() == [str(given.id)] * 2, "twice, under one id"


@long_on_rabbitmq
def test_live_subscribers_see_it_while_the_relay_relays(
    platform: Platform, valkey: Valkey, subscriber: Subscriber
) -> None:
    platform.execute(TABLES)
    platform.worker("projections")
    first = platform.relay(FUNDLYHUB_MIRROR="donation.completed", FUNDLYHUB_STREAMS_URL=valkey.database_url(4))
    wait_until(lambda: platform.value("SELECT 1 FROM events.relay_cursors WHERE name = 'mirror'"), what="the mirror")
    given = publish_events(completed() for _ in range(20))
    wait_until(lambda: subscriber.ids() == [str(event.id) for event in given], what="all of them, in order")
    first.kill()
    late = publish_event(completed())
    platform.relay(FUNDLYHUB_MIRROR="donation.completed", FUNDLYHUB_STREAMS_URL=valkey.database_url(4))
    wait_until(lambda: set(subscriber.ids()) == {str(event.id) for event in (*given, late)}, what="the late one too")
    platform.wait_applied("campaign_stats", 21)


@long_on_rabbitmq
@pytest.mark.chaos  # for its length
def test_a_stream_that_is_down_holds_the_relay_up_in_nothing(
    dsn: str, platform: Platform, valkey: Valkey, subscriber: Subscriber
) -> None:
    platform.execute(TABLES)
    platform.worker("projections")
    with Proxy(port_of(valkey.url), RespWire) as way:
        url = through(way, valkey.database_url(4))
        relay = platform.relay(FUNDLYHUB_MIRROR="donation.completed", FUNDLYHUB_STREAMS_URL=url)
        wait_until(lambda: platform.value("SELECT 1 FROM events.relay_cursors WHERE name = 'mirror'"), what="it")
        way.cut()
        given = publish_events(completed() for _ in range(20))
        platform.wait_applied("campaign_stats", 20)
        wait_until(lambda: relay.said("the mirror failed, and is tried again: ConnectionError"), what="the pause")
        assert subscriber.ids() == []
        way.heal()
        wait_until(lambda: subscriber.ids() == [str(event.id) for event in given], what="all of them")
        way.stall()
        publish_event(completed())
        platform.wait_applied("campaign_stats", 21)
        began = time.monotonic()
        assert relay.terminate() == 0, "and it can be stopped"
        assert time.monotonic() - began < 4


def test_a_mistake_in_the_setting_is_said_at_once(platform: Platform, tmp_path: Path) -> None:
    relay = platform.relay(FUNDLYHUB_MIRROR="donation.complete")
    assert relay.popen.wait(30) == 2
    assert "FUNDLYHUB_MIRROR: 'donation.complete' is no event type" in relay.log.read_text()
