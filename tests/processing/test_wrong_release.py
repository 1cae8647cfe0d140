"""A wrong release meets a stream of events on both brokers: nothing is charged, and the roll-back is found at once."""

from __future__ import annotations

import json
import re

import httpx
import pytest

from fundlyhub import publish_events
from fundlyhub.embedded.ports import free_port
from tests.support.deployed_processors import BREAK, ROLL_BACK, TABLE
from tests.support.make import initiated, search
from tests.support.platform import Platform, wait_until
from tests.support.processors import TABLES
from tests.support.rabbitmq import long_on_rabbitmq

pytestmark = pytest.mark.timeout(900)

EVENTS = 1_500
NAME = "test_deployed"
PAUSED = "SELECT count(*) FROM events.processor_pauses WHERE ended_at IS NULL"
EFFECTS = f"SELECT count(*) FROM analytics.test_effects WHERE processor = '{NAME}'"  # our own constant


@pytest.mark.chaos  # for its length
def test_a_wrong_release_pauses_its_processor_and_its_rollback_is_found_at_once(platform: Platform) -> None:
    platform.execute(TABLES)
    platform.execute(TABLE)
    platform.environment["FUNDLYHUB_PROCESSORS"] = "tests.support.processors,tests.support.deployed_processors"
    # Nothing but the end of the pause sends what it held back.
    relay = platform.relay(FUNDLYHUB_SWEEP_INTERVAL="5", FUNDLYHUB_SWEEP_GRACE="200")
    worker = platform.worker(kept=True)
    publish_events(search("fine") for _ in range(10))
    platform.wait_applied(NAME, 10)

    platform.execute(BREAK)
    publish_events(search("fine") for _ in range(EVENTS // 2))
    wait_until(lambda: platform.value(PAUSED), what="the pause")
    # What a killed worker holds comes back with the sweep only, after this test.
    wait_until(lambda: platform.applied("test_count") == EVENTS // 2 + 10, what="the other processors")
    worker.kill()  # a worker that starts later obeys too
    publish_events(search("fine") for _ in range(EVENTS // 2))
    worker = platform.worker(kept=True)
    wait_until(lambda: platform.value("SELECT max(probes) FROM events.processor_pauses") >= 2, what="two probes")
    (listed,) = [one for one in json.loads(platform.run("processors", "list", "--json").stdout) if one["name"] == NAME]
    assert listed["state"] == "paused itself"
    assert listed["reason"].startswith("KeyError")
    others = wait_until(lambda: platform.applied("test_count") >= EVENTS + 10, what="the other processors")
    assert others, "they go on"
    relay.kill()
    platform.relay(FUNDLYHUB_SWEEP_INTERVAL="5", FUNDLYHUB_SWEEP_GRACE="200")

    platform.execute(ROLL_BACK)
    platform.wait_applied(NAME, EVENTS + 10, timeout=90)
    assert platform.value(EFFECTS) == EVENTS + 10
    assert platform.value(EFFECTS.replace("*", "DISTINCT position")) == EVENTS + 10
    assert platform.value("SELECT count(*) FROM events.dead_letters") == 0
    wait_until(lambda: platform.value("SELECT count(*) FROM events.attempts") == 0, what="no event to wait")
    wait_until(lambda: platform.value("SELECT count(*) FROM events.processor_pauses") == 0, what="no pause")


@long_on_rabbitmq
def test_a_person_pauses_and_resumes_it(platform: Platform) -> None:
    platform.execute(TABLES)
    platform.relay(FUNDLYHUB_SWEEP_INTERVAL="5", FUNDLYHUB_SWEEP_GRACE="200")
    platform.worker()
    done = platform.run("processors", "pause", "test_count", "--reason", "a look at it", "--by", "ann")
    assert done.returncode == 0, done.stderr
    publish_events(search("fine") for _ in range(30))
    wait_until(lambda: platform.relayed() == 30, what="the relay")
    assert "test_count paused by hand by ann at " in platform.run("processors", "list").stdout
    assert json.loads(
        platform.run("processors", "pause", "test_count", "--reason", "x", "--until", "2h", "--json").stdout
    )["paused"]
    assert platform.applied("test_count") == 0
    assert platform.run("processors", "resume", "test_count").stdout == "test_count is resumed.\n"
    platform.wait_applied("test_count", 30, timeout=20)
    history = json.loads(platform.run("processors", "history", "test_count", "--json").stdout)
    assert [one["action"] for one in history] == ["resumed", "paused", "paused"]
    assert platform.run("processors", "resume", "test_count").stdout == "test_count is not paused.\n"


def messages_to(processor: str, port: int) -> int:
    """How many messages the relay has published for a processor, by its own metrics."""
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
    found = re.search(rf'^fundlyhub_relayed_messages_total{{processor="{processor}"}} (\S+)$', text, re.MULTILINE)
    return int(float(found[1])) if found else 0


@long_on_rabbitmq
@pytest.mark.chaos  # for its length
def test_no_message_goes_round_while_it_is_paused_and_the_backlog_comes_at_once(platform: Platform) -> None:
    platform.execute(TABLES)
    # Nothing but the end of the pause sends what it held back.
    port = free_port()
    never = {"FUNDLYHUB_SWEEP_INTERVAL": "5", "FUNDLYHUB_SWEEP_GRACE": "200"}
    relay = platform.relay(FUNDLYHUB_METRICS_PORT=str(port), **never)
    platform.worker()
    assert platform.run("processors", "pause", "test_count", "--reason", "a look at it").returncode == 0
    wait_until(lambda: relay.said("paused: test_count; new events stay in the log"), what="the relay to know of it")
    publish_events([initiated() for _ in range(EVENTS)])
    wait_until(lambda: platform.applied("test_slow") == EVENTS, what="its neighbour")
    platform.worker()  # one that starts later obeys too
    publish_events([initiated() for _ in range(EVENTS)])
    wait_until(lambda: platform.applied("test_slow") == 2 * EVENTS, what="its neighbour")
    assert messages_to("test_slow", port) > 0
    assert messages_to("test_count", port) == 0
    assert platform.applied("test_count") == 0
    assert platform.value("SELECT count(*) FROM events.attempts") == 0

    assert platform.run("processors", "resume", "test_count").returncode == 0
    platform.wait_applied("test_count", 2 * EVENTS, timeout=20)
    assert platform.value("SELECT count(*) FROM analytics.test_effects WHERE processor = 'test_count'") == 2 * EVENTS


WRONG = [
    (("pause", "no_such", "--reason", "x"), "no such processor: no_such; there are "),
    (("resume", "no_such"), "no such processor: no_such"),
    (("history", "no_such"), "no such processor: no_such"),
    (("pause", "test_count"), "Missing option '--reason'"),
    (("pause", "test_count", "--reason", " "), "the reason must be one printable line"),
    (("pause", "test_count", "--reason", "x", "--until", "soon"), "write it as 90s, 15m, 2h or 7d, or as "),
    (("pause", "test_count", "--reason", "x", "--until", "2020-01-01T00:00Z"), "that time is over"),
    (("pause", "test_count", "--reason", "x", "--until", "2099-01-01T00:00"), "say the time zone"),
]


@pytest.mark.parametrize("platform", ["valkey"], indirect=True)  # a broker is nothing to it
def test_wrong_use_is_told_in_one_line(platform: Platform) -> None:
    for args, said in WRONG:
        done = platform.run("processors", *args)
        assert (done.returncode, done.stdout) == (2, ""), args
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert platform.run("processors", "resume", "test_count").stdout == "test_count is not paused.\n", args
