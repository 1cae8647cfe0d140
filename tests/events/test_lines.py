"""Publishing a file line by line: good lines go in, bad ones are reported, and no line is too large to survive."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import orjson
import psycopg
import pytest

from fundlyhub import Event, publish_event
from fundlyhub.events.encoding import dumps
from fundlyhub.events.lines import CHUNK, MAX_LINE, LineReport, publish_lines
from fundlyhub.settings import Settings
from tests.support.make import initiated

BLANK = b"\n"


def line(**changes: Any) -> bytes:
    return dumps({**Event.of(initiated()).to_envelope(), **changes}) + b"\n"


def outcome(content: bytes) -> LineReport:
    return [LineReport(), *publish_lines(io.BytesIO(content))][-1]


@pytest.fixture
def log(settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(settings.dsn("events"), autocommit=True) as db:
        yield db


def count(log: psycopg.Connection[Any]) -> int:
    (found,) = log.execute("SELECT count(*) FROM events.events").fetchone() or (0,)
    return int(found)


def test_an_empty_file_is_nothing(settings: Settings) -> None:
    assert outcome(b"") == LineReport()


def test_good_lines_go_in_and_bad_ones_are_reported(log: psycopg.Connection[Any]) -> None:
    bad = line(correlationId="")
    report = outcome(line() + b"{}\n" + line() + BLANK + b"no json\n" + bad + line())
    assert (report.lines, report.published, report.duplicates) == (7, 3, 0)
    assert report.refused == [
        (2, "type: is required; version: is required; payload: is required"),
        (5, "is no JSON: Expecting value at character 1"),
        (6, "correlationId: must be a UUID"),
    ]
    assert count(log) == 3


def test_the_same_file_twice_adds_nothing(log: psycopg.Connection[Any]) -> None:
    content = line() + line()
    assert outcome(content).published == 2
    again = outcome(content)
    assert (again.published, again.duplicates, again.refused) == (0, 2, [])
    assert count(log) == 2


def test_the_order_of_the_file_is_the_order_of_the_log(log: psycopg.Connection[Any]) -> None:
    ids = [str(uuid4()) for _ in range(CHUNK + 20)]
    outcome(b"".join(line(id=id) for id in ids))
    assert [str(id) for (id,) in log.execute("SELECT id FROM events.events ORDER BY position")] == ids


def test_a_conflict_holds_up_no_neighbour(log: psycopg.Connection[Any]) -> None:
    taken = publish_event(initiated())
    report = outcome(line() + line(id=str(taken.id)) + line())
    assert (report.published, report.duplicates) == (2, 0)
    assert report.refused == [(2, f"id: event {taken.id} is in the log already, with other content")]
    assert count(log) == 3


@pytest.mark.parametrize(
    "content",
    [
        line().replace(b"\n", b"\r\n") + line().replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + line() + line(),
        b"\n  \n\r\n" + line() + b"\n" + line() + b"\n\n",
        line() + line().rstrip(b"\n"),
    ],
    ids=["Windows line ends", "a byte order mark", "blank lines", "no line end at the end"],
)
def test_what_editors_leave_in_files(log: psycopg.Connection[Any], content: bytes) -> None:
    report = outcome(content)
    assert (report.published, report.refused) == (2, [])


def test_a_byte_order_mark_elsewhere_is_no_json(settings: Settings) -> None:
    assert [number for number, _ in outcome(line() + b"\xef\xbb\xbf" + line()).refused] == [2]


class Endless(io.RawIOBase):
    """A line of so many bytes, then a good one; it holds neither in memory."""

    def __init__(self, size: int) -> None:
        self._left, self._rest = size, b"\n" + line()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._left:
            count = min(len(buffer), self._left)
            buffer[:count] = b"x" * count
            self._left -= count
            return count
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def test_a_line_of_a_hundred_megabytes_is_never_in_memory(log: psycopg.Connection[Any]) -> None:
    tracemalloc.start()
    try:
        (report,) = publish_lines(io.BufferedReader(Endless(100_000_000)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert report.refused == [(1, "the line is too large: an event must have at most 262144 bytes")]
    assert (report.lines, report.published) == (2, 1)
    assert peak < 8 * MAX_LINE


@pytest.mark.parametrize("size", [MAX_LINE - 1, MAX_LINE, MAX_LINE + 1, 2 * MAX_LINE + 1, 2 * MAX_LINE + 2])
@pytest.mark.parametrize("end", [b"\n", b""])
def test_the_line_after_a_long_one_keeps_its_number(settings: Settings, size: int, end: bytes) -> None:
    report = outcome(b"x" * size + end + (line() + b"bad\n" if end else b""))
    assert [number for number, _ in report.refused] == ([1, 3] if end else [1])
    assert report.published == (1 if end else 0)


def test_large_lines_are_published_in_smaller_transactions(settings: Settings) -> None:
    content = b"".join(line(metadata={"note": "x" * 200_000}) for _ in range(100))
    reports = [report.lines for report in publish_lines(io.BytesIO(content))]
    assert len(reports) >= 2
    assert reports[-1] == 100


def test_what_was_written_is_what_is_stored(log: psycopg.Connection[Any]) -> None:
    written = line(metadata={"clientId": "é😀"})
    outcome(written)
    ((payload, metadata),) = log.execute("SELECT payload, metadata FROM events.events").fetchall()
    assert payload == orjson.loads(written)["payload"]
    assert metadata == {"clientId": "é😀"}
