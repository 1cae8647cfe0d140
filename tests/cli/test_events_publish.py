"""`fundlyhub events publish`: a file or stdin into the log, with a report that a program can read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import psycopg

from fundlyhub import Event
from fundlyhub.events.encoding import dumps
from tests.support.command import dsns, environment, fundlyhub
from tests.support.make import initiated


def line(**changes: object) -> bytes:
    return dumps({**Event.of(initiated()).to_envelope(), **changes}) + b"\n"


def count(dsn: str) -> int:
    with psycopg.connect(dsn) as db:
        (found,) = db.execute("SELECT count(*) FROM events.events").fetchone() or (0,)
    return int(found)


def test_a_good_file_goes_in_and_a_second_time_is_nothing_new(dsn: str, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_bytes(line() + line())
    first = fundlyhub("events", "publish", str(file), "--json", settings=dsns(dsn))
    assert (first.returncode, first.stderr) == (0, "")
    assert json.loads(first.stdout) == {"published": 2, "duplicates": 0, "refused": []}
    second = fundlyhub("events", "publish", str(file), "--json", settings=dsns(dsn))
    assert second.returncode == 0
    assert json.loads(second.stdout) == {"published": 0, "duplicates": 2, "refused": []}
    assert count(dsn) == 2


def test_bad_lines_are_reported_by_number_and_the_good_ones_go_in(dsn: str) -> None:
    secret = "someone@example.org"
    content = line() + b"\n" + line(correlationId=secret) + b"}\r\n" + line().replace(b"\n", b"\r\n")
    done = fundlyhub("events", "publish", "-", "--json", settings=dsns(dsn), input=b"\xef\xbb\xbf" + content)
    assert done.returncode == 1
    assert json.loads(done.stdout) == {
        "published": 2,
        "duplicates": 0,
        "refused": [
            {"line": 3, "reason": "correlationId: must be a UUID"},
            {"line": 4, "reason": "is no JSON: Expecting value at character 1"},
        ],
    }
    assert secret not in done.stdout + done.stderr
    assert count(dsn) == 2


def test_for_people_the_reasons_go_to_stderr(dsn: str) -> None:
    done = fundlyhub("events", "publish", "-", settings=dsns(dsn), input=line() + b"[]\n")
    assert done.returncode == 1
    assert done.stderr == "line 2: an event must be a JSON object\n"
    assert done.stdout == "1 published, 0 duplicates, 1 refused\n"


def test_an_id_that_is_taken_holds_up_no_neighbour(dsn: str) -> None:
    taken = str(uuid4())
    done = fundlyhub(
        "events", "publish", "-", "--json", settings=dsns(dsn), input=line(id=taken) + line(id=taken) + line()
    )
    found = json.loads(done.stdout)
    assert (found["published"], done.returncode) == (2, 1)
    assert found["refused"] == [{"line": 2, "reason": f"id: event {taken} is in the log already, with other content"}]


def test_nothing_in_is_nothing_published(dsn: str) -> None:
    done = fundlyhub("events", "publish", "-", "--json", settings=dsns(dsn), input=b"")
    assert json.loads(done.stdout) == {"published": 0, "duplicates": 0, "refused": []}
    assert done.returncode == 0


def test_a_reader_that_has_gone_away_costs_no_event_and_brings_no_traceback(dsn: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "fundlyhub", "events", "publish", "-", "--json"],
            env=environment(dsns(dsn)),
            input=line(),
            stdout=writing,
            stderr=subprocess.PIPE,
            timeout=60,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")
    assert count(dsn) == 1


def test_what_was_written_and_then_cut_off_is_reported(dsn: str) -> None:
    """A producer that died in the middle of a line: all whole lines count."""
    done = fundlyhub("events", "publish", "-", "--json", settings=dsns(dsn), input=line() + line()[:40])
    found = json.loads(done.stdout)
    assert (found["published"], [item["line"] for item in found["refused"]]) == (1, [2])


def test_what_is_imported_is_marked_in_the_log(dsn: str) -> None:
    done = fundlyhub("events", "publish", "-", "--import", settings=dsns(dsn), input=line() + line(metadata={"a": 1}))
    assert done.returncode == 0
    with psycopg.connect(dsn) as db:
        found = db.execute("SELECT metadata FROM events.events ORDER BY position").fetchall()
    assert [metadata for (metadata,) in found] == [{"imported": True}, {"a": 1, "imported": True}]
