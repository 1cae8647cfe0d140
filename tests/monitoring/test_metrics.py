"""`fundlyhub metrics`: its numbers are the tables' own, whatever workers died, and a source that is away is named."""

from __future__ import annotations

import json
import sys
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import redis

from fundlyhub import publish_events
from fundlyhub.channels.breaker import Breaker
from fundlyhub.channels.breaker.redis_storage import RedisStorage
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.monitoring.collector import METRICS
from tests.monitoring.pages import Numbers, asked, parsed
from tests.support.make import completed, initiated, search
from tests.support.platform import Platform, wait_until
from tests.support.processors import TABLES

EVENTS = 600

MESSAGE = """
    INSERT INTO app.notifications (event_id, position, channel, recipient, template, transactional, state)
    SELECT gen_random_uuid(), 1, 'email', n::text, 'receipt', true, %s FROM generate_series(1, %s) n
"""
LETTER = """
    INSERT INTO events.dead_letters (processor, position, event_id, type, error_class, error_message, traceback,
                                     fingerprint, attempts, first_failed_at, last_failed_at, state)
    VALUES ('campaign_stats', %s, gen_random_uuid(), 'donation.completed', 'X', '', '', 'f', 1, now(), now(), %s)
"""
ATTEMPT = """
    INSERT INTO events.attempts (processor, position, attempts, first_seen, next_at)
    VALUES ('campaign_stats', %s, %s, now(), now() + interval '1 day')
"""
HELD = """
    INSERT INTO events.quarantine (stream, entry_id, digest, fields, reason, state)
    VALUES ('events', %s, '', '[]', 'no type', %s)
"""


@pytest.fixture
def ready(platform: Platform) -> Platform:
    """A platform with the tables of the test's processors."""
    platform.execute(TABLES)
    return platform


def numbers(platform: Platform, *, status: int = 0) -> Numbers:
    """What `--once` prints."""
    done = platform.run("metrics", "--once")
    assert done.returncode == status, done.stderr
    return parsed(done.stdout)


def rows(platform: Platform, sql: str) -> list[tuple[Any, ...]]:
    """What the tables say."""
    with psycopg.connect(platform.dsn) as db:
        return db.execute(sql).fetchall()


def claims(platform: Platform) -> dict[tuple[str, ...], float]:
    """The claims of each processor."""
    sql = " UNION ALL ".join(
        f"SELECT processor, count(*) FROM {schema}.processed_events GROUP BY processor"
        for schema in ("app", "analytics")
    )
    return {("fundlyhub_events_applied_total", name): count for name, count in rows(platform, sql)}


def but_zeros(found: Numbers, name: str) -> Numbers:
    """The samples of a metric that are not 0."""
    return {key: value for key, value in found.items() if key[0] == name and value}


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_numbers_are_the_tables_own_though_workers_die(ready: Platform) -> None:
    publish_events([*(initiated() for _ in range(EVENTS)), *(completed() for _ in range(20))])
    publish_events([search(word) for word in ("permanent", "permanent", "snooze")])
    relay = ready.relay()
    wait_until(lambda: ready.relayed() == EVENTS + 23, what="the relay")
    worker = ready.worker()
    ready.wait_applied("test_slow", EVENTS // 3)
    worker.kill()

    # Nobody works: all that is not settled waits, and the numbers stand still.
    found = numbers(ready)
    assert but_zeros(found, "fundlyhub_events_applied_total") == claims(ready)
    applied = ready.applied("test_slow")
    assert EVENTS // 3 <= applied < EVENTS
    held = ready.value("SELECT count(*) FROM events.attempts WHERE processor = 'test_slow'")
    assert found["fundlyhub_events_waiting", "test_slow"] == EVENTS - applied - held
    (age,) = rows(ready, """
        SELECT extract(epoch FROM now() - min(recorded_at)) FROM events.events
        WHERE type = 'donation.initiated' AND position NOT IN (
            SELECT position FROM analytics.processed_events WHERE processor = 'test_slow'
            UNION SELECT position FROM events.attempts WHERE processor = 'test_slow')
    """)  # fmt: skip
    assert found["fundlyhub_events_waiting_seconds", "test_slow"] == pytest.approx(float(age[0]), abs=10)
    assert found["fundlyhub_log_head_position",] == ready.value("SELECT max(position) FROM events.events")
    assert (found["fundlyhub_relay_leaders",], found["fundlyhub_relay_lag_events",]) == (1, 0)

    ready.worker("projections,writes,notifications")
    ready.wait_applied("test_slow", EVENTS)
    dead = "SELECT count(*) FROM events.dead_letters WHERE processor = 'test_count' AND state = 'open'"
    wait_until(lambda: ready.value(dead) == 2, what="the dead letters")
    wait_until(lambda: not but_zeros(numbers(ready), "fundlyhub_events_waiting"), what="all to be settled")
    found = numbers(ready)
    assert but_zeros(found, "fundlyhub_events_applied_total") == claims(ready)
    assert found["fundlyhub_events_waiting_seconds", "test_slow"] == 0
    assert found["fundlyhub_dead_letters_open", "test_count", "search.query.submitted"] == 2
    assert found["fundlyhub_events_snoozed", "test_count"] == 1
    assert found["fundlyhub_events_retrying", "test_count"] == 0
    assert {key[0] for key in found} <= {name + "_total" * one.counter for name, one in METRICS.items()}

    relay.kill()
    publish_events(initiated() for _ in range(7))
    found = wait_until(
        lambda: (now := numbers(ready))["fundlyhub_relay_leaders",] == 0 and now, what="the dead relay to be seen"
    )
    assert found["fundlyhub_relay_lag_events",] == 7
    assert found["fundlyhub_relay_lag_seconds",] > 0
    assert found["fundlyhub_events_waiting", "test_slow"] == 7


def test_what_waits_for_people_queues_breakers_and_streams(ready: Platform, valkey: Valkey) -> None:
    url = ready.environment["FUNDLYHUB_REDIS_URL"] = valkey.database_url(11)
    for position, state in enumerate(("open", "open", "discarded", "resolved")):
        ready.execute(LETTER, position, state)
    for position, attempts in enumerate((0, 3, 1)):
        ready.execute(ATTEMPT, position, attempts)
    for entry, state in enumerate(("open", "released", "open")):
        ready.execute(HELD, str(entry), state)
    for state, count in (("unknown", 2), ("queued", 3), ("sent", 4)):
        ready.execute(MESSAGE, state, count)
    with redis.Redis.from_url(url) as client:
        client.flushdb()
        Breaker("twilio", RedisStorage("twilio", url)).open_by_hand("they move house", "ann")
        for stream in ("events", "events", "fundlyhub-events"):
            client.xadd(stream, {"type": "x"})
    ready.relay()
    publish_events(initiated() for _ in range(150))
    wait_until(lambda: ready.relayed() == 150, what="the relay")

    found = numbers(ready)
    assert but_zeros(found, "fundlyhub_source_up").keys() == {
        ("fundlyhub_source_up", source)
        for source in ("log", "app_processors", "analytics_processors", "messages", "queues", "breakers", "streams")
    }
    letters = but_zeros(found, "fundlyhub_dead_letters_open")
    assert letters == {("fundlyhub_dead_letters_open", "campaign_stats", "donation.completed"): 2}
    assert found["fundlyhub_events_retrying", "campaign_stats"] == 2
    assert found["fundlyhub_events_snoozed", "campaign_stats"] == 1
    assert but_zeros(found, "fundlyhub_quarantine_open") == {("fundlyhub_quarantine_open", "events"): 2}
    messages = {key[1:]: value for key, value in found.items() if key[0] == "fundlyhub_messages_open"}
    held = {(channel, "held"): 0 for channel in ("email", "push", "sms")}
    assert messages == {("email", "unknown"): 2, ("email", "queued"): 3, **held}
    assert found["fundlyhub_breaker_state", "twilio", "open by hand"] == 1
    assert found["fundlyhub_breaker_state", "twilio", "closed"] == 0
    assert found["fundlyhub_breaker_state", "smtp", "closed"] == 1
    assert found["fundlyhub_ingest_lag_entries", "events"] == 2
    assert found["fundlyhub_ingest_lag_seconds", "fundlyhub-events"] > 0
    # Batches of 100 and of 20, for the two processors that want them.
    assert but_zeros(found, "fundlyhub_queue_messages")["fundlyhub_queue_messages", "projections"] >= 8
    assert found["fundlyhub_queue_messages", "fundlyhub.parked"] == 0


def test_a_source_that_is_away_takes_only_its_own_numbers_away(ready: Platform) -> None:
    ready.relay()
    publish_events([completed()])
    wait_until(lambda: ready.relayed() == 1, what="the relay")
    ready.environment["FUNDLYHUB_ANALYTICS_DSN"] = "postgresql://ada:s3cret@127.0.0.1:1/x"
    done = ready.run("metrics", "--once")
    assert done.returncode == 1
    assert "the numbers of analytics_processors are missing: cannot reach the analytics database" in done.stderr
    assert "s3cret" not in done.stdout + done.stderr
    found = parsed(done.stdout)
    assert found["fundlyhub_source_up", "analytics_processors"] == 0
    assert found["fundlyhub_source_up", "log"] == 1
    assert ("fundlyhub_events_applied_total", "campaign_stats") not in found
    assert found["fundlyhub_events_applied_total", "activity_feed"] == 0


@pytest.mark.chaos  # for its length
def test_its_pages(ready: Platform) -> None:
    argv = [sys.executable, "-m", "fundlyhub", "metrics", "--port", "0"]
    process = ready.start("metrics", argv, {"FUNDLYHUB_CONNECT_TIMEOUT": "2"})
    wait_until(lambda: process.said("/metrics"), what="the endpoint")
    url = process.log.read_text().rpartition(" at ")[2].strip().removesuffix("/metrics")

    assert asked(f"{url}/healthz") == (200, '{"ok": true}')
    status, text = asked(f"{url}/readyz")
    bad = [one["check"] for one in json.loads(text)["checks"] if not one["ok"]]
    assert (status, bad) == (503, ["relay leads"]), "no relay runs"
    assert asked(f"{url}/readyz?role=worker")[0] == 200
    assert asked(f"{url}/readyz?role={uuid4()}")[0] == 400
    assert asked(f"{url}/else")[0] == 404
    assert parsed(asked(f"{url}/metrics")[1])["fundlyhub_relay_leaders",] == 0
    ready.relay()
    wait_until(lambda: asked(f"{url}/readyz")[0] == 200, what="a relay that leads")
    wait_until(lambda: parsed(asked(f"{url}/metrics")[1])["fundlyhub_relay_leaders",] == 1, what="the same")

    with ready.broker_held():
        assert asked(f"{url}/healthz")[0] == 200
        for _ in range(2):  # the second finds the first one's thread, which hangs
            found = parsed(asked(f"{url}/metrics")[1])
            assert found["fundlyhub_source_up", "queues"] == 0
            assert found["fundlyhub_source_up", "log"] == 1
        assert asked(f"{url}/readyz?role=worker")[0] == 503
    wait_until(lambda: parsed(asked(f"{url}/metrics")[1])["fundlyhub_source_up", "queues"] == 1, what="the broker")
    assert process.terminate() == 0


@pytest.mark.parametrize("platform", ["valkey"], indirect=True)  # a broker is nothing to it
def test_documents_that_the_outside_search_engine_lacks_or_refuses_are_counted(platform: Platform) -> None:
    name = "fundlyhub_search_documents"
    platform.execute(
        "INSERT INTO analytics.search_documents (kind, id, popularity, version, sent_version, refused)"
        " SELECT 'campaign', gen_random_uuid(), 0, 2, sent, CASE WHEN sent = 2 THEN 'status 400' END"
        " FROM unnest(ARRAY[1, 1, 1, 2, 2]) AS sent"
    )
    assert (f"{name}_waiting",) not in numbers(platform), "PostgreSQL searches"
    elasticsearch = {"SEARCH_BACKEND": "elasticsearch", "ELASTICSEARCH_URL": "http://127.0.0.1:1"}
    platform.environment |= {f"FUNDLYHUB_{key}": value for key, value in elasticsearch.items()}
    found = numbers(platform)
    assert (found[f"{name}_waiting",], found[f"{name}_refused",]) == (3, 2)
    assert "Elasticsearch refused 2 documents" in platform.run("status").stdout


@pytest.mark.parametrize("platform", ["valkey"], indirect=True)
def test_digests_an_hour_late_and_failed_reports_are_counted_until_a_person_has_decided(platform: Platform) -> None:
    platform.execute(
        "INSERT INTO app.digests (id, user_id, channel, template, position, due_at, closed_at, settled_at)"
        " SELECT gen_random_uuid(), gen_random_uuid(), 'email', 'new_donation', 1, now() + due * interval '1 minute',"
        "        now() + closed * interval '1 minute', CASE WHEN done THEN now() END"
        " FROM (VALUES (-61, NULL::int, false), (-59, NULL, false), (5, -61, false), (5, -5, false),"
        "              (-99, -99, true)) AS given(due, closed, done)"
    )
    platform.execute(
        "INSERT INTO app.delivery_reports (provider, words, bytes, failed_at, error, discarded_at)"
        " SELECT 'sendgrid', '[]', 2, now(), 'KeyError', discarded"
        " FROM unnest(ARRAY[NULL, NULL, now()]::timestamptz[]) AS discarded"
    )
    found = numbers(platform)
    overdue = "fundlyhub_digests_overdue"
    assert (found[overdue, "email"], found[overdue, "push"], found[overdue, "sms"]) == (2, 0, 0)
    assert found["fundlyhub_delivery_reports_failed",] == 2
