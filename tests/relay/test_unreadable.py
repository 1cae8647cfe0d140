"""An event that cannot be read stops nobody who reads the log: mirror, sweep, collector, relay, archive and verify."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import redis
from pydantic import SecretStr

import fundlyhub.processors  # noqa: F401  # registers them
from fundlyhub import Event, publish_event, publish_events
from fundlyhub.database import connect, get_engine
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.processing import dead_letters, registry
from fundlyhub.processing.executor import execute
from fundlyhub.processing.routing import Router
from fundlyhub.relay.cursor import SnapshotCursor
from fundlyhub.relay.mirror import Mirror, take
from fundlyhub.relay.unsettled import unsettled
from fundlyhub.settings import Settings
from tests.processing.look import ATTEMPTS, CLAIMS, LETTERS
from tests.relay.test_collector import Broker, broker
from tests.retention.archives.old import Old
from tests.support.make import completed, initiated, search
from tests.support.platform import Platform, wait_until
from tests.support.processors import TABLES, TestCountProcessor
from tests.support.rabbitmq import long_on_rabbitmq
from tests.support.unreadable import FAULTS, PLACES, SECRET, TYPE, added, text_of, version_of

__all__ = ["broker"]

PUBLISH = "SELECT events.publish_event(%s, %s::jsonb, version => %s)"
POSITION = "SELECT position FROM events.events WHERE id = %s"
SUSPENDED = {"reason": "spam", "duration": 7, "suspendedUntil": "9999-12-31T23:59:59-05:00"}


class Wide(TestCountProcessor, register=False):
    """Wants them, too, under the name of the one that the collector knows."""

    name = "test_count"
    handles = ("donation.initiated", TYPE)


@pytest.fixture
def log(settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    with connect("events", autocommit=True) as db:
        yield db


def by_sql(db: psycopg.Connection[Any], kind: str, payload: str, version: str = "1.0.0") -> int:
    """An event that passes no check; its position."""
    (event,) = db.execute(PUBLISH, (kind, payload, version)).fetchone() or (None,)
    (position,) = db.execute(POSITION, (event,)).fetchone() or (0,)
    return int(position)


def all_faults(db: psycopg.Connection[Any], *places: str) -> list[int]:
    """One event for each fault at each of these places."""
    return [by_sql(db, TYPE, text_of(place, fault), version_of(place)) for fault in FAULTS for place in places]


def suspension() -> str:
    """Of somebody, until a time that UTC does not have."""
    return json.dumps({"userId": str(uuid4()), "suspendedBy": str(uuid4()), **SUSPENDED})


def test_the_mirror_shows_the_others(settings: Settings, valkey: Valkey, log: psycopg.Connection[Any]) -> None:
    url = valkey.database_url(5)
    subscriber = redis.Redis.from_url(url, decode_responses=True)
    subscriber.flushdb()
    with added(), subscriber:
        chosen = {"streams_url": SecretStr(url), "mirror": f"donation.*, admin.**, {TYPE}=said"}
        mirror, cursor = Mirror(settings.model_copy(update=chosen)), take(log)
        before = publish_event(completed())
        all_faults(log, *PLACES)
        by_sql(log, "admin.user.suspended", suspension())
        after = publish_event(completed())
        mirror.mirror(cursor)
        assert mirror.mirror(cursor) == 0, "it has moved on"
        mirror.close()
        donations: Any = subscriber.xrange("events:donation.completed")
        assert [fields["id"] for _, fields in donations] == [str(before.id), str(after.id)]
        shown: Any = subscriber.xrange(f"events:{TYPE}")
        assert len(shown) == len(FAULTS), "its payload can be told where only the look for its aggregate fails"
        assert subscriber.exists("events:admin.user.suspended") == 0


@pytest.mark.rabbitmq
def test_the_collector_settles_their_message(broker: Broker) -> None:
    broker.collector._by_task = {Wide.task_name(): Wide}
    with added(), connect("events", autocommit=True) as db:
        sent = [publish_event(initiated()).position or 0, *all_faults(db, "validator", "upcaster")]
        broker.send(sent)
        broker.refuse()
        broker.dead()
        assert broker.collector.collect() == 1
        assert [row[0] for row in broker.query(ATTEMPTS)] == sent
        for position in sent[1:]:
            broker.send([position])
        broker.query("DELETE FROM events.attempts RETURNING 1")
        execute(Wide, sent)
        assert [row[0] for row in broker.query(LETTERS)] == sent[1:]
        for _ in sent[1:]:
            broker.refuse()
        wait_until(lambda: broker.collector.collect() or broker.depth("fundlyhub.dead") == 0, what="the dead queue")
        assert broker.query(ATTEMPTS) == []


def test_the_sweep_finds_them_settled(settings: Settings, log: psycopg.Connection[Any]) -> None:
    log.execute(TABLES)
    with added():
        sent = [publish_event(initiated()).position or 0, *all_faults(log, "validator", "upcaster")]
        assert unsettled(log, Wide, sent) == sent
        execute(Wide, sent)
        assert unsettled(log, Wide, sent) == []


def test_a_time_that_python_cannot_hold_stops_no_reader_of_the_log(
    settings: Settings, log: psycopg.Connection[Any]
) -> None:
    cursor = SnapshotCursor.take(log, "main")
    sent = [publish_event(initiated()).position or 0 for _ in range(4)]
    for position, time in zip(sent, ("infinity", "-infinity", "294276-01-01"), strict=False):
        log.execute("UPDATE events.events SET recorded_at = %s WHERE position = %s", (time, position))
    assert cursor.open()
    assert [position for position, _, _ in cursor.page(10)] == sent
    log.execute(TABLES)
    execute(Wide, sent)
    assert [row[0] for row in log.execute(LETTERS)] == [sent[1]], "it happened after it was recorded"
    assert [row[0] for row in log.execute(CLAIMS)] == [sent[0], *sent[2:]]
    with get_engine("events").connect() as db:
        letters = db.exec_driver_sql("SELECT id FROM events.dead_letters").scalars().all()
        assert all(dead_letters.show(db, letter).event for letter in letters)


def test_an_archive_holds_them_and_gives_them_back(
    settings: Settings, log: psycopg.Connection[Any], tmp_path: Path
) -> None:
    old = Old(log, tmp_path)
    with added():
        all_faults(log, *PLACES)
        by_sql(log, "admin.user.suspended", suspension())
        sent = old.positions()
        execute(Wide, sent)
        log.execute("UPDATE events.dead_letters SET state = 'discarded'")
        old.settled("fine")
        before = old.whole()
        written = old.archive(sent[-1]).written
        if written is None:
            pytest.skip("nothing of it may be archived")
        old.restore(written.file)
        assert old.whole() == before


@long_on_rabbitmq
@pytest.mark.chaos  # for its length
def test_on_both_brokers_the_others_are_applied_and_each_of_them_is_a_dead_letter(platform: Platform) -> None:
    platform.environment["FUNDLYHUB_PROCESSORS"] = "tests.support.unreadable_types"
    platform.execute(TABLES)
    platform.relay(FUNDLYHUB_MIRROR="donation.*, admin.**")
    registered = "SELECT count(*) FROM events.processors WHERE name = ANY (%s)"
    wanting = [one.name for one in Router(registry.processors()).wanting("admin.user.suspended") if one.reads_contents]
    assert {"email_notification", "search_index"} < set(wanting)
    wait_until(lambda: platform.value(registered, wanting) == len(wanting), what="the relay")
    with psycopg.connect(platform.dsn, autocommit=True) as db, db.transaction():
        publish_events((search("a") for _ in range(20)), session=db)
        suspended = by_sql(db, "admin.user.suspended", suspension())
        bad = all_faults(db, "validator", "upcaster")
        publish_events((search("a") for _ in range(20)), session=db)
    platform.worker("projections,writes,notifications")
    platform.wait_applied("test_unreadable", 40)
    letters = "SELECT count(*) FROM events.dead_letters WHERE position = ANY (%s) AND processor = ANY (%s)"
    wait_until(lambda: platform.value(letters, bad, ["test_unreadable"]) == len(bad), what="their letters")
    wait_until(lambda: platform.value(letters, [suspended], wanting) == len(wanting), what="one in each processor")
    assert SECRET not in str(platform.value("SELECT jsonb_agg(d) FROM events.dead_letters d"))
    assert platform.value("SELECT count(*) FROM events.attempts") == 0
    found = json.loads(platform.run("verify", "--json", "--repair", "--wait", "30").stdout)["findings"]
    assert {one["kind"] for one in found} <= {"dead"}


def test_a_file_with_such_a_line_is_published_but_for_it(platform: Platform) -> None:
    lines = [json.dumps(Event.of(initiated()).to_envelope(), default=str).replace('"5"', "5") for _ in range(20)]
    said = json.loads(suspension())
    bad = {**json.loads(lines[0]), "id": str(uuid4()), "type": "admin.user.suspended", "payload": said}
    lines.insert(7, json.dumps(bad))
    done = platform.run("events", "publish", "-", "--json", input="\n".join(lines).encode())
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert told["published"] == 20
    assert told["refused"] == [
        {"line": 8, "reason": "payload.suspendedUntil: must lie in the years 1 to 9999, in UTC too"}
    ]
