"""Somebody who can write to the broker: no message ends a worker, fills its memory, or runs what is not ours."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery

from fundlyhub import publish_events
from tests.processing.test_nonsense import JSON, depth, parked, send
from tests.support.make import search
from tests.support.memory import peak_memory
from tests.support.platform import Platform, Process, wait_until
from tests.support.processors import TABLES

NAME = "projections.test_count"
BODY: list[Any] = [[[1]], {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]
CALL: dict[str, Any] = {
    "task": "celery.map",
    "args": [],
    "kwargs": {},
    "options": {},
    "subtask_type": None,
    "immutable": False,
}


def headers(**more: Any) -> dict[str, Any]:
    """As Celery writes them."""
    whole = {
        "lang": "py", "task": NAME, "id": str(uuid4()), "shadow": None, "eta": None, "expires": None, "retries": 0,
        "group": None, "timelimit": [None, None], "root_id": None, "parent_id": None, "argsrepr": "", "origin": "",
    }  # fmt: skip
    return {**whole, **more}


def embedded(**more: Any) -> list[Any]:
    return [*BODY[:2], {**BODY[2], **more}]


def bomb(spaces: int) -> bytes:
    """A compressed JSON list, which kombu expands by zlib under each of its names; one block of it again and again.

    Its checksum is wrong, which shows when all of it is expanded.
    """
    shrink = zlib.compressobj(9, wbits=-15)
    begin, block = (shrink.compress(text) + shrink.flush(zlib.Z_FULL_FLUSH) for text in (b"[", b" " * 10_000_000))
    return b"\x78\xda" + begin + block * (spaces // 10_000_000) + shrink.compress(b"]") + shrink.flush() + b"\0\0\0\0"


BOMB = bomb(1_500_000_000)

# body, headers
FORGED: dict[str, tuple[bytes, dict[str, Any]]] = {
    "a bomb": (BOMB, headers(compression="application/x-gzip")),
    "a bomb by its short name": (BOMB, headers(compression="gzip")),
    "an unknown compression": (b"x", headers(compression="x")),
    "a task of Celery's": (json.dumps([[CALL, [[1]]], {}, None]).encode(), headers(task="celery.map")),
    "another": (json.dumps([[], {}, None]).encode(), headers(task="celery.backend_cleanup")),
    "a task that follows": (json.dumps(embedded(chain=[CALL])).encode(), headers()),
    "one that follows success": (json.dumps(embedded(callbacks=[CALL])).encode(), headers()),
    "one that follows failure": (json.dumps(embedded(errbacks=[CALL])).encode(), headers()),
    "a chord": (json.dumps(embedded(chord=CALL)).encode(), headers()),
    "a group": (json.dumps(BODY).encode(), headers(group="x")),
    "the first protocol": (json.dumps({"task": NAME, "id": "1", "args": [[1]], "kwargs": {}}).encode(), {}),
    "the first protocol with times": (
        json.dumps({"task": NAME, "id": "1", "args": [[1]], "kwargs": {}, "timelimit": [0.001, 0.001]}).encode(), {},
    ),
    "another name": (json.dumps(BODY).encode(), headers(shadow="all.is.well")),
    "a line": (json.dumps(BODY).encode(), headers(id="1\n2026-01-01T00:00:00.000Z INFO 1 fundlyhub: all is well")),
    "a line as a root": (json.dumps(BODY).encode(), headers(root_id="1\nall is well")),
    "an escape": (json.dumps(BODY).encode(), headers(id="\x1b[2J")),
    "an id that is long": (json.dumps(BODY).encode(), headers(id="x" * 10_000)),
    "an id that is none": (json.dumps(BODY).encode(), headers(id=None)),
    "a year to wait": (json.dumps(BODY).encode(), headers(eta="9999-01-01T00:00:00+00:00")),
    "a time that is none": (json.dumps(BODY).encode(), headers(eta={"a": 1})),
    "retries without end": (json.dumps(BODY).encode(), headers(retries=10**9)),
    "a large body": (b"[[[" + b"1," * 5_000_000 + b"1]],{},{}]", headers()),
    "a deep body": (b"[" * 60_000, headers()),
}  # fmt: skip


LIMITS: list[Any] = [[0.001, 0.001], ["x", "y"], [1e-9, None], 5, [300, 240], {"a": 1}, "x"]


@pytest.fixture
def running(platform: Platform) -> Iterator[tuple[Platform, Process]]:
    platform.execute(TABLES)
    platform.relay()
    yield platform, platform.worker()


@pytest.mark.timeout(900)
def test_no_forged_message_ends_a_worker_or_fills_its_memory(running: tuple[Platform, Process]) -> None:
    platform, worker = running
    for body, forged in FORGED.values():
        send(platform, body, JSON, forged)
    publish_events(search("fine") for _ in range(20))
    platform.wait_applied("test_count", 20)
    wait_until(lambda: depth(platform) >= len(FORGED), what="all forged messages in the parking queue")
    reasons = [one["reason"] for one in parked(platform, "list")["messages"]]
    assert len(reasons) == len(FORGED)
    log = worker.log.read_text()
    assert worker.popen.poll() is None, "no process of the worker was replaced"
    assert "TimeLimit" not in log
    assert "\nall is well" not in log
    assert "\n2026-01-01T00:00:00.000Z INFO 1" not in log
    assert peak_memory(worker) < 600_000_000


def test_a_limit_of_time_in_a_message_is_not_obeyed(running: tuple[Platform, Process]) -> None:
    platform, worker = running
    events = publish_events(search("fine") for _ in LIMITS)
    for event, limit in zip(events, LIMITS, strict=True):
        send(platform, json.dumps([[[event.position]], *BODY[1:]]).encode(), JSON, headers(timelimit=limit))
    platform.wait_applied("test_count", len(LIMITS))
    publish_events([search("transient")])  # a worker writes its limits into what it sends again
    wait_until(lambda: (platform.value("SELECT attempts FROM events.attempts") or 0) >= 2, what="a second attempt")
    log = worker.log.read_text()
    assert "refused a message" not in log
    assert "imit (" not in log, "no limit of time was exceeded"


@pytest.mark.timeout(900)
def test_remote_control_changes_nothing(running: tuple[Platform, Process]) -> None:
    platform, worker = running
    with Celery(broker=platform.environment["FUNDLYHUB_BROKER_URL"]) as app:
        for command, arguments in {
            "cancel_consumer": {"queue": "projections"},
            "time_limit": {"task_name": NAME, "hard": 0.001, "soft": 0.001},
            "rate_limit": {"task_name": NAME, "rate_limit": "1/h"},
            "pool_shrink": {"n": 2},
            "pool_grow": {"n": 100},
            "add_consumer": {"queue": "other"},
            "shutdown": {},
        }.items():
            app.control.broadcast(command, arguments=arguments)
        answers = app.control.inspect(timeout=10, limit=1).ping()
        assert answers, "what only looks is answered"
    publish_events(search("fine") for _ in range(20))
    platform.wait_applied("test_count", 20)
    assert worker.popen.poll() is None
