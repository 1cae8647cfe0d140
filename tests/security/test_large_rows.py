"""Rows of the log that are far too large: an older release or the log's owner wrote them, and no door was asked.

They cost a worker no more memory than a setting allows, hold up no other event, and become dead letters with a reason.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest

from fundlyhub.database import get_engine
from fundlyhub.events import StoredEvent, read_in_portions
from fundlyhub.events.log import MAX_TEXT
from fundlyhub.events.reading import cut
from fundlyhub.processing.executor import execute
from fundlyhub.processing.report import Report
from tests.processing.conftest import Query, query  # noqa: F401 - a fixture
from tests.processing.look import LETTERS, positions, publish
from tests.support.memory import peak_memory, peak_memory_of_children
from tests.support.platform import Platform, wait_until
from tests.support.processors import TABLES, TestCountProcessor

INSERT = """
    INSERT INTO events.events (id, type, version, payload, metadata, occurred_at)
    SELECT gen_random_uuid(), 'search.query.submitted', '1.0.0', ({payload})::jsonb, ({metadata})::jsonb, now()
    FROM generate_series(1, {times}) AS n
"""
GOOD = """ '{"query": "fine"}' """
NESTED = """ '{"a": [' || repeat('[],', 120000) || '[]]}' """
LONG = """ '{"query": "fine", "x": "' || repeat(md5(n::text), 14000) || '"}' """
"""As large as is ever loaded: hardly a byte more, and it would be refused unread."""

HOSTILE = {
    "a text that compresses to nothing": (""" '{"query": "' || repeat('x', 80000000) || '"}' """, "'{}'"),
    "numbers of 131,072 digits": (""" '{"query": [' || repeat('1e131071,', 50000) || '1]}' """, "'{}'"),
    "a few of them": (""" '{"query": [' || repeat('1e131071,', 100) || '1]}' """, "'{}'"),
    "numbers with 16,383 zeros": (
        """ jsonb_build_object('query', (SELECT jsonb_agg(round(1, 16383)) FROM generate_series(1, 90000))) """, "'{}'",
    ),
    "metadata of a megabyte": (GOOD, """ '{"a": [' || repeat('[],', 350000) || '[]]}' """),
    "metadata with numbers": (GOOD, """ '{"a": [' || repeat('1e131071,', 50000) || '1]}' """),
}  # fmt: skip
DEEP = """ '{"query": ' || repeat('[', 11000) || repeat(']', 11000) || '}' """


def insert(payload: str = GOOD, metadata: str = "'{}'", times: int = 1) -> str:
    return INSERT.format(payload=payload, metadata=metadata, times=times)


@pytest.fixture
def running(platform: Platform) -> Iterator[Platform]:
    platform.execute(TABLES)
    yield platform


@pytest.mark.chaos  # for its length
@pytest.mark.timeout(900)
def test_large_events_cost_a_worker_a_limited_amount_of_memory(running: Platform) -> None:
    running.execute(insert(metadata=NESTED, times=80))
    running.execute(insert(LONG, times=80))
    running.relay()
    worker = running.worker(concurrency=1, FUNDLYHUB_WORKER_MEMORY_LIMIT="0")
    running.wait_applied("test_count", 160, timeout=200)
    assert running.value("SELECT count(*) FROM analytics.test_effects WHERE processor = 'test_count'") == 160
    # What docs/deploy.md says: what it holds at rest, and twenty times FUNDLYHUB_LOAD_BYTES, which is 8 MiB.
    assert peak_memory_of_children(worker) < peak_memory(worker) + 20 * 8_388_608


@pytest.mark.chaos  # for its length
@pytest.mark.timeout(900)
def test_far_too_large_events_are_dead_letters_and_hold_up_no_other(running: Platform) -> None:
    for payload, metadata in HOSTILE.values():
        running.execute(insert(payload, metadata))
    running.execute(insert(times=20))
    running.relay()
    worker = running.worker(concurrency=1, FUNDLYHUB_WORKER_MEMORY_LIMIT="0")
    running.wait_applied("test_count", 20, timeout=200)
    count = "SELECT count(*) FROM events.dead_letters WHERE processor = 'test_count'"
    wait_until(lambda: running.value(count) == len(HOSTILE), what="the dead letters")
    reasons = "SELECT string_agg(DISTINCT error_message, ';' ORDER BY error_message) FROM events.dead_letters"
    assert running.value(reasons) == (
        "metadata: must have at most 262144 bytes and 32 levels;payload: must have at most 262144 bytes and 32 levels"
    )
    assert peak_memory_of_children(worker) < 300_000_000


def test_a_row_that_is_nested_without_end_becomes_a_dead_letter(query: Query) -> None:  # noqa: F811
    query(insert(DEEP))
    sent = [*positions(query("SELECT position FROM events.events")), *publish("fine")]
    report, rounds = Report(), 0
    waiting = [(tuple(sent), False)]
    while waiting and rounds < 30:
        at, careful = waiting.pop()
        found = execute(TestCountProcessor, at, careful=careful, ends_wait=True)
        report, rounds = report + found, rounds + 1
        waiting += [(one.positions, one.careful) for one in found.resend]
    assert report.outcomes["done"] == 1
    assert query(LETTERS)[0][0] == sent[0]


def test_a_careful_run_reads_one_event_at_a_time(query: Query) -> None:  # noqa: F811
    query(insert(LONG, times=60))
    sent = positions(query("SELECT position FROM events.events ORDER BY position"))
    execute(TestCountProcessor, publish("fine"), careful=True)
    tracemalloc.start()
    try:
        report = execute(TestCountProcessor, sent, careful=True)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert report.outcomes == {"done": 60}
    assert peak < 10_000_000, "all of them are 27 MB"


def test_what_is_too_large_together_is_run_in_messages_of_their_own(query: Query) -> None:  # noqa: F811
    query(insert(LONG, times=60))
    sent = positions(query("SELECT position FROM events.events ORDER BY position"))
    report = execute(TestCountProcessor, sent, ends_wait=True)
    done = report.outcomes["done"]
    assert 1 < done < 60
    assert [at for one in report.resend for at in one.positions] == sent[done:]
    for one in report.resend:
        assert (one.seconds, one.careful, one.ends_wait) == (0, False, True)
        assert execute(TestCountProcessor, one.positions).resend == []
    assert positions(query("SELECT position FROM analytics.test_effects ORDER BY position")) == sent


@pytest.mark.parametrize(
    "large", [set(), {0}, {19}, {3, 4, 11}, set(range(20))], ids=lambda large: f"{len(large)} large"
)
def test_portions_hold_each_row_once_in_order(query: Query, large: set[int]) -> None:  # noqa: F811
    for n in range(20):
        query(insert(LONG) if n in large else insert())
    sent = positions(query("SELECT position FROM events.events ORDER BY position"))
    with get_engine("events").connect() as db:
        portions = list(read_in_portions(db, [*sent, 10**9]))
    rows: list[StoredEvent] = [row for portion in portions for row in portion]
    assert [row.position for row in rows] == sent
    assert all(row.payload and row.metadata for row in rows)
    assert all(sum(len(row.payload or "") for row in portion) <= 8_388_608 for portion in portions)


@pytest.mark.parametrize(
    ("sizes", "portions"),
    [
        ([], []), ([1], [(0,)]), ([9], [(0,)]), ([2, 2, 2], [(0, 1), (2,)]), ([9, 1, 9], [(0,), (1,), (2,)]),
        ([0, 0, 0], [(0, 1, 2)]), ([5, 0, 0, 1], [(0, 1, 2), (3,)]),
    ],
)  # fmt: skip
def test_positions_are_cut_by_size(sizes: list[int], portions: list[tuple[int, ...]]) -> None:
    assert cut(enumerate(sizes), 5) == portions


def test_what_is_just_within_the_limit_is_read(query: Query) -> None:  # noqa: F811
    for extra in (0, 1):
        text = f""" '{{"a": "' || repeat('x', {MAX_TEXT - 9 + extra}) || '"}}' """
        query(insert(text))
    query(insert(""" '{"a": ' || repeat('9', 300) || '}' """, """ '{"a": [' || repeat('1,', 87000) || '1]}' """))
    with get_engine("events").connect() as db:
        within, beyond, digits = next(read_in_portions(db, positions(query("SELECT position FROM events.events"))))
    assert (len(within.payload or ""), beyond.payload) == (MAX_TEXT, None)
    assert len(digits.payload or "") == 307
    assert len(digits.metadata or "") == 261_000 + 10
