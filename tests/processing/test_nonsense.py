"""Messages that are no work: they are kept where a person finds them, nobody ends of them, and the rest flows."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import redis
from kombu import Connection, Producer

from fundlyhub import publish_events
from fundlyhub.processing.queues import PARKED_QUEUE, routing_key
from tests.support.make import search
from tests.support.platform import Platform, wait_until
from tests.support.processors import TABLES

SECRET = "someone@example.org"
JSON = {"content_type": "application/json", "content_encoding": "utf-8"}
BINARY = {"content_encoding": "binary"}
TASK = {"task": "projections.test_count", "id": "1"}

# body, properties, headers
NONSENSE: dict[str, tuple[bytes, dict[str, str], dict[str, Any]]] = {
    "no JSON": (b"{" + SECRET.encode(), JSON, {}),
    "not even text": (b"\xff\xfe\x00", {"content_type": "application/octet-stream", "content_encoding": "binary"}, {}),
    "a pickle": (b"cos\nsystem\n.", {**BINARY, "content_type": "application/x-python-serialize"}, {}),
    "JSON of another kind": (json.dumps({"to": SECRET}).encode(), JSON, {}),
    "a task of somebody else": (b"[[], {}, {}]", JSON, {"task": "shop.send_invoice", "id": "2"}),
    "no positions": (json.dumps([[{"to": SECRET}], {}, {}]).encode(), JSON, TASK),
    "no arguments": (b'"text"', JSON, TASK),
    "no JSON for a task": (b"[[1]", JSON, TASK),
    "nothing": (b"", JSON, {}),
}


@pytest.fixture
def ready(platform: Platform) -> Platform:
    """A platform with the tables of the test's processors."""
    platform.execute(TABLES)
    return platform


def on_rabbitmq(platform: Platform) -> bool:
    return platform.environment["FUNDLYHUB_BROKER_URL"].startswith("amqp")


def send(platform: Platform, body: bytes, properties: dict[str, str], headers: dict[str, Any]) -> None:
    """Put a message into the projections' queue."""
    exchange, key = ("fundlyhub", routing_key("projections")) if on_rabbitmq(platform) else ("", "projections")
    with Connection(platform.environment["FUNDLYHUB_BROKER_URL"]) as connection:
        producer = Producer(connection.channel(), auto_declare=False)
        producer.publish(body, exchange=exchange, routing_key=key, headers=headers, **properties)


def parked(platform: Platform, *args: str) -> Any:
    """What `fundlyhub relay parked` prints."""
    done = platform.run("relay", "parked", *args, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def depth(platform: Platform) -> int:
    return int(json.loads(platform.run("relay", "status", "--json").stdout)["messages"][PARKED_QUEUE])


@pytest.mark.timeout(900)
@pytest.mark.chaos  # for its length
def test_nonsense_is_kept_with_a_reason_and_the_rest_flows(ready: Platform) -> None:
    relay, worker = ready.relay(), ready.worker()
    for body, properties, headers in NONSENSE.values():
        send(ready, body, properties, headers)
    publish_events(search("fine") for _ in range(20))
    ready.wait_applied("test_count", 20)
    wait_until(lambda: depth(ready) >= len(NONSENSE), what="all nonsense in the parking queue")
    kept = parked(ready, "list", "--bodies")["messages"]
    assert {base64.b64decode(one["body"]) for one in kept} == {body for body, _, _ in NONSENSE.values()}
    assert all(one["reason"] and one["queue"] == "projections" for one in kept)
    assert parked(ready, "release")["released"] == len(NONSENSE), "for a release that can read them"
    wait_until(lambda: depth(ready) == len(NONSENSE), what="this one to park them again, each once")
    assert parked(ready, "discard", "--yes")["discarded"] == len(NONSENSE)
    assert parked(ready, "list")["messages"] == []
    assert worker.popen.poll() is None
    assert SECRET not in worker.log.read_text() + relay.log.read_text()


def test_an_entry_in_redis_that_is_no_message_ends_a_worker_once_and_the_next_goes_on(
    ready: Platform,
) -> None:
    if on_rabbitmq(ready):
        pytest.skip("RabbitMQ takes in nothing but messages")
    ready.relay()
    ready.worker(kept=True)
    redis.Redis.from_url(ready.environment["FUNDLYHUB_BROKER_URL"]).lpush("projections", "nonsense")
    publish_events(search("fine") for _ in range(20))
    ready.wait_applied("test_count", 20)
