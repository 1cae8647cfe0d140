"""Messages without end, or of what nobody can read, in body, headers or envelope: none ends a process; all are kept."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from fundlyhub import publish_events
from tests.processing.test_nonsense import JSON, depth, on_rabbitmq, parked, send
from tests.security.test_hostile_messages import BODY, headers
from tests.support.make import search
from tests.support.platform import Platform, Process, wait_until
from tests.support.processors import TABLES

LEVELS = 12_000
LIST, OBJECT = "[" * LEVELS + "]" * LEVELS, '{"a":' * LEVELS + "1" + "}" * LEVELS
DIGITS = "9" * 5_000
"""More than Python makes a number of."""
PROPERTIES = '"properties": {"delivery_tag": "1", "delivery_info": {"exchange": "", "routing_key": "projections"}}'
BODIES = {
    "arguments": f"[{LIST}, {{}}, {{}}]",
    "named arguments": f"[[[1]], {OBJECT}, {{}}]",
    "what follows": f'[[[1]], {{}}, {{"chain": {LIST}}}]',
    "all of it": OBJECT,
    "a position of 5,000 digits": f"[[[{DIGITS}]], {{}}, {{}}]",
    "no number": "[[[NaN]], {}, {}]",
    "an infinite one": "[[[1e999]], {}, {}]",
    "half a character": r'[[["\ud800"]], {"\ud800": "\u0000"}, {}]',
}
ENVELOPES = {
    "all of it": LIST,
    "an object": OBJECT,
    "properties": f'{{"body": "", "properties": {LIST}}}',
    "a header": f'{{"body": "", "headers": {{"x": {LIST}}}, "properties": {{"delivery_tag": "1", "delivery_info": '
    '{"exchange": "", "routing_key": "projections"}}}',
    "digits": DIGITS,
    "a body of digits": f'{{"body": {DIGITS}, "properties": {{}}}}',
    "a header of digits": f'{{"body": "", "headers": {{"x": {DIGITS}, "y": NaN, "z": 1e999}}, {PROPERTIES}}}',
    "a priority of digits": f'{{"body": "", "headers": {{}}, {PROPERTIES[:-1]}, "priority": {DIGITS}}}}}',
    "half a character": r'{"body": "\ud800", "headers": {"\ud800": "\u0000"}, "properties": {"delivery_tag": "\ud800", '
    r'"delivery_info": {"exchange": "\ud800", "routing_key": "\ud800"}}}',
    "no JSON": "{",
    "nothing of an envelope": "{}",
    "no Base64": '{"body": "x", "properties": {"body_encoding": "base64", "delivery_tag": "1", "delivery_info": '
    '{"exchange": "", "routing_key": "projections"}}}',
}  # fmt: skip
"""Texts that stand in a queue of Redis themselves."""


def nested(levels: int, kind: type) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value] if kind is list else {"a": value}
    return value


HEADERS: dict[str, dict[str, Any]] = {
    "a list": {"x": nested(LEVELS, list)},
    "an object": {"x": nested(LEVELS, dict)},
    "one that Celery reads": {"stamped_headers": nested(LEVELS, list)},
    "as deep as Python can read": {"argsrepr": nested(900, dict)},
    "an id": {"id": nested(900, list)},
}


@pytest.fixture
def running(platform: Platform) -> Iterator[tuple[Platform, Process, Process]]:
    platform.execute(TABLES)
    yield platform, platform.relay(), platform.worker()


def send_deep(platform: Platform, forged: dict[str, Any]) -> None:
    """Send headers that kombu could not write in an ordinary thread."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            send(platform, json.dumps(BODY).encode(), JSON, headers(**forged))
        except BaseException as error:
            errors.append(error)

    limit, size = sys.getrecursionlimit(), threading.stack_size(512 * 1024 * 1024)
    sys.setrecursionlimit(200_000)
    try:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    finally:
        sys.setrecursionlimit(limit)
        threading.stack_size(size)
    assert not errors


@pytest.mark.timeout(900)
@pytest.mark.chaos  # for its length
def test_no_nested_message_ends_a_process(running: tuple[Platform, Process, Process]) -> None:
    platform, relay, worker = running
    for body in BODIES.values():
        send(platform, body.encode(), JSON, headers())
    for forged in HEADERS.values():
        send_deep(platform, forged)
    kept = len(BODIES) + len(HEADERS)
    if not on_rabbitmq(platform):
        with redis.Redis.from_url(platform.environment["FUNDLYHUB_BROKER_URL"]) as client:
            for envelope in ENVELOPES.values():
                client.lpush("projections", envelope)
            client.publish("/0.celery.pidbox", LIST)  # remote control
            client.publish("/0.celery.pidbox", "{}")
        kept += len(ENVELOPES)
    publish_events(search("fine") for _ in range(20))
    platform.wait_applied("test_count", 20)
    wait_until(lambda: depth(platform) >= kept, what="all of them in the parking queue")
    assert len(parked(platform, "list")["messages"]) == kept
    assert worker.popen.poll() is None
    assert relay.popen.poll() is None
    assert "Traceback" not in worker.log.read_text()
    assert "Traceback" not in relay.log.read_text()
