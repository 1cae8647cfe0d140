"""`fundlyhub waiting`: each event that waits, and why; no value of an event is in it."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from fundlyhub import publish_events
from fundlyhub.processing.executor import execute
from fundlyhub.settings import Settings
from tests.processing.conftest import Query, query
from tests.processing.look import Counting
from tests.support import ROOT
from tests.support.command import run
from tests.support.make import search
from tests.support.processors import TestCountProcessor

__all__ = ["query"]  # the fixture


class MissingTable(Counting, register=False):
    name = "test_count"

    def handle_batch(self, events: Any, db: Any) -> None:
        db.exec_driver_sql("SELECT * FROM campaign_totals")


@pytest.fixture
def words(query: Query, environment: dict[str, str]) -> list[Any]:
    """Events that fail in several ways."""
    sent = publish_events(search(word) for word in ("bug", "bug", "snooze", "transient", "fine", "fine"))
    execute(TestCountProcessor, [event.position or 0 for event in sent[:4]])
    execute(MissingTable, [sent[4].position or 0])
    return list(sent)


def waiting(environment: dict[str, str], *args: str) -> Any:
    done = run("fundlyhub", ("waiting", "--json", *args), environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def environment(settings: Settings) -> dict[str, str]:
    """That of a command."""
    more = {"PYTHONPATH": str(ROOT), "COLUMNS": "200", "FUNDLYHUB_PROCESSORS": "tests.support.processors"}
    return {**os.environ, **more}


@pytest.mark.chaos  # for its length
def test_each_event_that_waits_is_told_with_its_reason(words: list[Any], environment: dict[str, str]) -> None:
    found = waiting(environment)
    assert [(one["position"], one["kind"], one["attempts"], one["error"]) for one in found] == [
        (words[0].position, "retry", 1, "KeyError"),
        (words[1].position, "retry", 1, "KeyError"),
        (words[2].position, "snoozed", 0, "Snooze"),
        (words[3].position, "retry", 1, "Transient"),
        (words[4].position, "snoozed", 0, "UndefinedTable"),
    ]
    assert found[0]["event_id"] == str(words[0].id)
    assert found[0]["reason"] == "KeyError: text withheld, since it may hold people's data (in processors.py:misbehave)"
    assert found[2]["reason"].startswith("later")
    assert 'relation "campaign_totals" does not exist' in found[4]["reason"]
    assert "someone@example.org" not in json.dumps(found)
    assert all(one["next_at"] and one["since"] for one in found)


def test_filters_and_limits(words: list[Any], environment: dict[str, str]) -> None:
    def at(*args: str) -> list[int]:
        return [
            words.index(next(w for w in words if w.position == one["position"])) for one in waiting(environment, *args)
        ]

    assert at("--reason", "CAMPAIGN_totals") == [4]
    assert at("--reason", "keyerror") == [0, 1]
    assert at("--reason", "100%") == []
    assert at("--processor", "test_count", "--limit", "2") == [0, 1]
    assert at("--processor", "nobody") == []
    assert at("--event", str(words[2].id)) == [2]
    assert at("--event", str(words[2].id)[:34]) == [2]
    assert at("--event", str(words[2].position)) == [2]
    grouped = waiting(environment, "--group")
    assert [(one["events"], one["error"]) for one in grouped] == [
        (2, "KeyError"), (1, "Snooze"), (1, "Transient"), (1, "UndefinedTable"),
    ]  # fmt: skip


def test_one_event_that_was_not_run_yet_is_told_for_each_processor_that_wants_it(
    words: list[Any], query: Query, environment: dict[str, str]
) -> None:
    last = str(words[5].id)
    assert "it is not relayed yet" in waiting(environment, "--event", last)[0]["reason"]
    query("INSERT INTO events.relay_cursors (name, system_identifier, seen)"
          " SELECT 'main', system_identifier, pg_current_snapshot() FROM pg_control_system()")  # fmt: skip
    found = {one["processor"]: one for one in waiting(environment, "--event", last)}
    assert found["test_count"]["kind"] == "not run"
    assert found["test_count"]["reason"] == "no worker consumes the queue projections"
    query("INSERT INTO events.processor_pauses (processor, kind, who, reason)"
          " VALUES ('test_count', 'by hand', 'ann', 'a look at it')")  # fmt: skip
    (one,) = waiting(environment, "--event", last, "--processor", "test_count")
    assert (one["kind"], one["reason"]) == ("held", "the processor is paused (by hand): a look at it")
    execute(TestCountProcessor, [words[5].position])
    query("DELETE FROM events.processor_pauses")
    execute(TestCountProcessor, [words[5].position])
    assert waiting(environment, "--event", last, "--processor", "test_count") == []
    done = run("fundlyhub", ("waiting", "--event", last, "--processor", "test_count"), environment)
    assert done.stdout.endswith("waits for no processor.\n")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--event", "zzz"), "give an event's id, at least its first 8 characters, or a position"),
        (("--event", "0123456"), "no event 0123456 is in the log"),
        (("--event", "ffffffff-ffff"), "no event ffffffff-ffff is in the log"),
        (("--event", "1", "--group"), "one event is no group"),
        (("--limit", "0"), "--limit"),
    ],
)
def test_wrong_use_is_told_in_one_line(environment: dict[str, str], args: tuple[str, ...], said: str) -> None:
    done = run("fundlyhub", ("waiting", *args), environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_prefix_of_several_events_is_refused(words: list[Any], environment: dict[str, str]) -> None:
    done = run("fundlyhub", ("waiting", "--event", str(words[0].id)[:8]), environment)
    assert done.returncode == 2
    assert "several events begin with" in done.stderr


def test_a_table_for_people(words: list[Any], environment: dict[str, str]) -> None:
    for args in ((), ("--group",), ("--event", str(words[0].id))):
        done = run("fundlyhub", ("waiting", *args), environment)
        assert done.returncode == 0, done.stderr
        assert "KeyError" in done.stdout
