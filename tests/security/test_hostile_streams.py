"""Hostile entries of Redis Streams: they cost the ingest little time and memory, and hold up no other stream."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from fundlyhub.streams.entry import MAX_KEPT, Entry
from fundlyhub.streams.raw import MAX_PARSED, from_json, to_json
from fundlyhub.streams.reader import Reader, client_of
from tests.streams.conftest import streams  # noqa: F401 - a fixture
from tests.streams.entries import whole
from tests.streams.streams import Streams
from tests.support.memory import peak_memory
from tests.support.platform import wait_until

SECRET = b"s3cret"
MANY = 20_000

HOSTILE = {
    "a secret without an end": b'{"passcode": "' + b"a" * 11 * MANY,
    "quotes in a secret": b'{"passcode": "' + b'\\"' * 5 * MANY,
    "a secret in a text inside another": b'{"passcode\\": \\"' + b"a" * 11 * MANY,
    "backslashes behind it": b'{"passcode\\": \\"' + b"\\" * 11 * MANY,
    "backslashes alone": b"\\" * 11 * MANY,
    "quotes alone": b'"' * 11 * MANY,
    "spaces behind a key": b'"passcode"' + b" " * 11 * MANY,
    "spaces behind many keys": (b'"passcode"' + b" " * 100) * (MANY // 10),
    "spaces before a value": b'"passcode": ' + b" " * 11 * MANY + b"{",
    "digits": b'"passcode":' + b"1" * 11 * MANY,
    "keys without values": b'"passcode":[' * MANY,
    "beginnings of keys": b'"passcod' * MANY,
    "escaped letters": b'"\\u0070' * MANY,
    "empty lists": b"[" + b"[]," * 4 * MANY + b"[]]",
    "empty objects": b'[{"passcode":[]}' + b",{}" * 4 * MANY + b"]",
    "an open list": b"[" * 11 * MANY,
}


def redact(value: bytes) -> str:
    return str(from_json(to_json(Entry("events", "1-0", ((b"payload", value),)))))


@pytest.mark.parametrize("text", HOSTILE.values(), ids=list(HOSTILE))
def test_redacting_takes_memory_in_proportion_to_the_text(text: bytes) -> None:
    text *= 1 + MAX_PARSED // len(text)  # more than is ever parsed
    redact(b'"passcode": 1')  # the patterns are compiled
    tracemalloc.start()
    try:
        redact(text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12 * len(text)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=list(HOSTILE))
def test_redacting_takes_time_in_proportion_to_the_text(text: bytes) -> None:
    def cost(times: int) -> float:
        began = time.process_time()
        redact(text * times)
        return time.process_time() - began

    redact(text)
    # Four times the text: four times the time, and sixteen times where the time is quadratic.
    assert any(cost(8) < 8 * cost(2) + 0.05 for _ in range(3))


@pytest.mark.parametrize(
    "value",
    [
        b'{"pass\\u0063ode": "s3cret"}',
        b'{"\\u0070\\u0061\\u0073\\u0073\\u0063\\u006f\\u0064\\u0065": "s3cret"}',
        b'{"\\u006cink\\u0054oken": ["s3cret"]}',
        b'{"data": "{\\"pass\\\\u0063ode\\": \\"s3cret\\"}"}',
        b'{"data": "{\\"passcode\\": [\\"s3cret\\"]}"}',
        b'{"data": "{\\"passcode\\": {\\"a\\": \\"s3cret\\"}}", "passcode": {"b": "s3cret"}}',
    ],
)
@pytest.mark.parametrize("filling", [0, 2 * 1024 * 1024], ids=["small", "large"])
def test_no_spelling_of_a_key_hides_a_secret(value: bytes, filling: int) -> None:
    for text in (value, value[:-1], b'{"a": "' + b"x" * filling + b'", ' + value[1:]):
        assert SECRET.decode() not in redact(text)


@pytest.mark.chaos  # for its length
@pytest.mark.timeout(900)
def test_large_entries_of_one_stream_hold_up_no_other_and_fill_no_memory(streams: Streams) -> None:  # noqa: F811
    large = 20_000_000
    for _ in range(12):
        streams.write({"type": "a.b", "payload": b'{"passcode": "' + b"a" * large})
    good = whole()
    streams.write(good, "events:stream")
    ingest = streams.ingest()
    wait_until(lambda: streams.ids() == [good["id"]], timeout=120, what="the good entry")
    assert len(streams.held()) <= 2, "one batch at most came before it"
    streams.wait_taken(1, 12, timeout=300)
    assert all(reason == f"fields: must have at most 1048576 bytes, have {large + 28}" for reason in streams.held())
    kept = streams.platform.value("SELECT max(length(fields::text)) FROM events.quarantine")
    assert kept <= MAX_KEPT + 1_000
    assert peak_memory(ingest) < 400_000_000


@pytest.mark.chaos  # for its length
@pytest.mark.timeout(900)
def test_large_entries_that_a_dead_consumer_left_are_read_in_portions(streams: Streams) -> None:  # noqa: F811
    for _ in range(12):
        streams.write({"type": "a.b", "payload": b"x" * 20_000_000})
    streams.redis.xgroup_create("events", "fundlyhub", id="0")
    streams.ghost(12, idle=3_600)
    ingest = streams.ingest()
    streams.wait_taken(0, 12, timeout=300)
    assert peak_memory(ingest) < 400_000_000


def test_without_scripts_a_reader_learns_how_much_it_can_take(streams: Streams) -> None:  # noqa: F811
    for _ in range(10):
        streams.write({"type": "a.b", "payload": b"x" * 5_000_000})
    streams.redis.acl_setuser("limited", enabled=True, passwords=["+pw"], keys=["*"], commands=["+@all", "-eval"])
    reader = Reader(
        client_of(f"redis://limited:pw@{streams.url.partition('@')[2]}"), ["events"], "fundlyhub", "one", batch=500
    )
    reader.join()
    assert [len(reader.fresh(0.001)) for _ in range(10)] == [1] * 10
    streams.redis.acl_deluser("limited")
