"""Messages that are no work: they are kept where a person finds them, nobody ends of them, and the rest flows."""

from __future__ import annotations

import json
from typing import Any

import pytest
import redis
from kombu import Connection, Producer, Queue

from fundlyhub import publish_events
from fundlyhub.processing.messages import QUEUE, REASON
from fundlyhub.processing.queues import PARKED_QUEUE, depths, routing_key
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


def parked(platform: Platform) -> list[dict[str, Any]]:
    """The headers of what waits in the parking queue, which is emptied."""
    found = []
    with Connection(platform.environment["FUNDLYHUB_BROKER_URL"]) as connection, connection.channel() as channel:
        while (message := Queue(PARKED_QUEUE)(channel).get()) is not None:
            found.append(dict(message.headers))
            message.ack()
    return found


def count_parked(platform: Platform) -> int:
    with Connection(platform.environment["FUNDLYHUB_BROKER_URL"]) as connection:
        return depths(connection, on_rabbitmq(platform), [PARKED_QUEUE])[PARKED_QUEUE]


@pytest.mark.timeout(240)
def test_nonsense_is_kept_with_a_reason_and_the_rest_flows(ready: Platform) -> None:
    relay, worker = ready.relay(), ready.worker()
    for body, properties, headers in NONSENSE.values():
        send(ready, body, properties, headers)
    publish_events(search("fine") for _ in range(20))
    ready.wait_applied("test_count", 20)
    wait_until(lambda: count_parked(ready) >= len(NONSENSE), what="all nonsense in the parking queue")
    kept = parked(ready)
    assert len(kept) == len(NONSENSE), "each once"
    assert all(headers[REASON] and headers[QUEUE] == "projections" for headers in kept)
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
