"""Relay processes: kills, standbys, outages, wake-ups; every event reaches its processor."""

from __future__ import annotations

import json
import random
import signal
import time
from functools import partial

import psycopg
import pytest
from kombu import Connection

from fundlyhub import publish_event, publish_events
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.processing.queues import declarations, depths
from tests.relay.writers import SCHEMA, LongTransaction, Writer
from tests.support.make import initiated, search
from tests.support.platform import Platform, wait_until
from tests.support.processors import TABLES
from tests.support.rabbitmq import long_on_rabbitmq

DOUBLE = """
    SELECT count(*) FROM (SELECT 1 FROM analytics.test_effects GROUP BY processor, position HAVING count(*) > 1) d
"""
KIND = "donation.initiated"
PAYLOAD: dict[str, object] = {
    "donationId": "7b8f1f2e-0f6e-4a86-9d6b-5b4c1e2d3f40",
    "campaignId": "7b8f1f2e-0f6e-4a86-9d6b-5b4c1e2d3f41",
    "amount": 5,
    "paymentMethod": "card",
}


# The pace of a platform on which something happens all the time, kept by the server, which a slow machine slows least.
STEADILY = """
    DO $$ BEGIN
        FOR n IN 1..300 LOOP
            PERFORM events.publish_event('search.query.submitted', '{"query": "fine"}');
            COMMIT;
            PERFORM pg_sleep(0.005);
        END LOOP;
    END $$
"""


@pytest.fixture
def ready(platform: Platform) -> Platform:
    """A platform with the tables of the test's processors."""
    platform.execute(TABLES)
    return platform


def leading(platform: Platform) -> bool:
    """Whether some relay leads."""
    return json.loads(platform.run("relay", "status", "--json").stdout)["leader"] is not None


def moved_on(platform: Platform, before: int, writers: list[Writer]) -> bool:
    """Whether the relay has handed more over, or there is nothing more to come."""
    return platform.relayed() > before or not any(writer.is_alive() for writer in writers)


@long_on_rabbitmq
@pytest.mark.chaos  # for its length
def test_events_share_messages_while_workers_are_behind(ready: Platform) -> None:
    """Nobody takes the messages, as with workers that cannot keep up: a message an event would bury them."""
    ready.relay()
    ready.execute(STEADILY)
    wait_until(lambda: ready.relayed() >= 300, what="the relay")
    with Connection(ready.environment["FUNDLYHUB_BROKER_URL"]) as connection:
        waiting = depths(connection, ready.environment["FUNDLYHUB_BROKER_URL"].startswith("amqp"))["projections"]
    assert waiting < 120
    ready.worker()
    ready.wait_applied("test_count", 300)


@long_on_rabbitmq
@pytest.mark.chaos  # for its length
def test_leaders_killed_under_eight_writers_lose_and_double_nothing(ready: Platform) -> None:
    ready.execute(SCHEMA)
    ready.worker("projections")
    relays = [ready.relay(FUNDLYHUB_RELAY_PAGE="50") for _ in range(2)]
    early = LongTransaction(ready.dsn, KIND, PAYLOAD)
    writers = [Writer(ready.dsn, seed, 80, KIND, PAYLOAD) for seed in range(8)]
    for writer in writers:
        writer.start()
    rng = random.Random(8)
    kills = 0
    while any(writer.is_alive() for writer in writers) or kills < 4:
        wait_until(partial(moved_on, ready, ready.relayed(), writers), what="the relay")
        time.sleep(rng.uniform(0, 0.2))  # not a wait for anything: it moves the kill within the window
        relays.pop(0).kill()
        relays.append(ready.relay(FUNDLYHUB_RELAY_PAGE="50"))
        kills += 1
    committed = sum(writer.committed for writer in writers)
    wait_until(lambda: ready.relayed() >= committed, what="all but the open transaction")
    early.commit()
    ready.wait_applied("test_count", committed + 1)
    ready.wait_applied("test_slow", committed + 1)
    assert ready.applied("test_count") == ready.applied("test_slow") == committed + 1
    assert ready.value("SELECT count(*) FROM analytics.test_effects") == 2 * (committed + 1)
    assert ready.value(DOUBLE) == 0


def test_a_standby_takes_over_and_sigterm_ends_a_relay_cleanly(ready: Platform) -> None:
    first = ready.relay()
    wait_until(lambda: first.said("leading, in epoch 1"), what="the first leader")
    standby = ready.relay()
    wait_until(lambda: standby.said("connected to the log"), what="the standby")
    assert "leading, in epoch" not in standby.log.read_text()
    first.kill()
    wait_until(lambda: standby.said("leading, in epoch 2"), what="the take-over")
    publish_event(initiated())
    wait_until(lambda: ready.relayed() == 1)
    assert standby.terminate() == 0
    assert "stopped after 1 events" in standby.log.read_text()


@long_on_rabbitmq
def test_a_broker_that_is_away_pauses_the_relay_and_costs_no_event_anything(ready: Platform) -> None:
    relay = ready.relay()
    publish_events(initiated() for _ in range(10))
    wait_until(lambda: ready.relayed() == 10)
    ready.stop_broker()
    publish_events(initiated() for _ in range(500))
    wait_until(lambda: relay.said("paused:"), what="the pause")
    assert relay.popen.poll() is None
    ready.start_broker()
    wait_until(lambda: ready.relayed() == 510, what="the rest")
    ready.worker()
    ready.wait_applied("test_count", 510)
    assert ready.value("SELECT count(*) FROM events.attempts") == 0
    assert ready.value(DOUBLE) == 0


def test_a_database_connection_that_is_cut_is_made_anew(ready: Platform) -> None:
    relay = ready.relay()
    publish_event(initiated())
    wait_until(lambda: ready.relayed() == 1)
    ready.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE application_name = 'fundlyhub-events' AND datname = current_database() AND pid <> pg_backend_pid()"
    )
    publish_events(initiated() for _ in range(20))
    wait_until(lambda: ready.relayed() == 21, what="the rest")
    assert relay.popen.poll() is None


def test_a_sleeping_relay_is_woken_by_a_publish_and_without_it_by_its_poll(ready: Platform) -> None:
    relay = ready.relay(FUNDLYHUB_RELAY_POLL="50")
    asleep = "SELECT last_value = 2 FROM events.relay_sleep"
    wait_until(lambda: ready.value(asleep), what="its sleep")
    publish_event(initiated())
    wait_until(lambda: ready.relayed() == 1, timeout=10, what="the woken relay")
    wait_until(lambda: ready.value(asleep), what="its sleep")
    relay.kill()
    ready.relay(FUNDLYHUB_RELAY_POLL="0.2")
    wait_until(lambda: ready.value(asleep), what="the other's sleep")
    publish_event(initiated(), notify=False)
    wait_until(lambda: ready.relayed() == 2, timeout=10, what="the poll")


def test_messages_carry_positions_and_nothing_else(ready: Platform) -> None:
    published = publish_events([search("somebody@example.org"), search("b")])
    ready.relay()
    wait_until(lambda: ready.relayed() == 2)
    amqp = not isinstance(ready.broker, Valkey)
    with Connection(ready.environment["FUNDLYHUB_BROKER_URL"]) as connection, connection.channel() as channel:
        queue = next(queue for queue in declarations(amqp) if queue.name == "projections")(channel)
        message = wait_until(lambda: queue.get(no_ack=True), what="the message")
    positions = [event.position for event in published]
    assert message.payload[0] == [positions]
    assert message.payload[1] == {}
    assert message.headers["task"] == "projections.test_count"
    assert message.headers["argsrepr"] == f"2 positions, {positions[0]} to {positions[1]}"
    assert "example.org" not in str(message.headers) + str(message.body)


def test_what_nobody_wants_is_passed_over_and_counted(ready: Platform) -> None:
    ready.execute("SELECT events.publish_event('brand.new', '{}') FROM generate_series(1, 3)")
    publish_event(initiated())
    ready.relay()
    wait_until(lambda: ready.relayed() == 4)
    status = json.loads(ready.run("relay", "status", "--json").stdout)
    assert status["passed_over"] == [{"type": "brand.new", "events": 3, "last_position": 3}]
    assert (status["lag_events"], status["lag_seconds"]) == (0, 0.0)


def test_status_tells_what_is_applied_waiting_and_dead(ready: Platform) -> None:
    publish_events([search("fine"), search("permanent"), search("snooze"), initiated()])
    before = json.loads(ready.run("status", "--json").stdout)
    assert before["relay"]["lag_events"] == 4
    assert before["processors"]["test_count"].items() >= {"applied": 0, "waiting": 4, "retrying": 0, "dead": 0}.items()
    assert before["processors"]["test_count"]["oldest_waiting_seconds"] > 0
    ready.relay()
    ready.worker()
    ready.wait_applied("test_count", 2)
    wait_until(lambda: ready.value("SELECT count(*) FROM events.attempts"), what="the snooze")
    after = json.loads(ready.run("status", "--json").stdout)
    assert after["log"] == {"head": 4, "future_xids": 0, "future_positions": 0}
    assert after["processors"]["test_count"].items() >= {"applied": 2, "waiting": 0, "retrying": 1, "dead": 1}.items()
    assert after["processors"]["test_count"]["oldest_waiting_seconds"] is None
    assert after["processors"]["campaign_stats"]["applied"] == 0


@long_on_rabbitmq
@pytest.mark.chaos  # for its length
def test_a_processor_that_comes_later_gets_what_was_published_before_it(ready: Platform) -> None:
    early = ready.relay(FUNDLYHUB_PROCESSORS="")
    publish_events(initiated() for _ in range(30))
    wait_until(lambda: ready.relayed() == 30)
    assert early.terminate() == 0
    ready.relay()
    ready.worker()
    ready.wait_applied("test_count", 30)
    ready.wait_applied("test_slow", 30)


def test_a_relay_on_a_foreign_cursor_says_what_to_do_and_ends(ready: Platform) -> None:
    relay = ready.relay()
    wait_until(lambda: relay.said("leading"))
    relay.popen.send_signal(signal.SIGTERM)
    assert relay.popen.wait(30) == 0
    ready.execute("UPDATE events.relay_cursors SET system_identifier = 42")
    again = ready.relay()
    assert again.popen.wait(30) == 1
    log = again.log.read_text()
    assert "fundlyhub: the cursor 'main' belongs to another database cluster" in log
    assert "Traceback" not in log
    moved = ready.run("relay", "rebase", "--floor", "0", "--json")
    assert json.loads(moved.stdout) == {"handed_over_again": 0}


def test_the_leader_is_named(ready: Platform) -> None:
    assert not leading(ready)
    ready.relay()
    wait_until(lambda: leading(ready), what="a leader")
    with psycopg.connect(ready.dsn) as db:
        row = db.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted").fetchone()
    assert row is not None
    assert row[0] >= 1
