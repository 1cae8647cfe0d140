"""Careful runs: a batch whose worker died goes one event at a time, each attempt counted before it is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection

from fundlyhub import Event
from fundlyhub.processing import ProjectionProcessor
from fundlyhub.processing.executor import execute
from fundlyhub.processing.report import Resend
from tests.processing.conftest import Query
from tests.processing.look import ATTEMPTS, CLAIMS, EFFECTS, LETTERS, Counting, positions, publish
from tests.support.processors import TestCountProcessor


def test_a_careful_run_counts_an_attempt_before_it_is_made(query: Query) -> None:
    seen: list[Any] = []

    class Watcher(Counting, register=False):
        name = "watcher"

        def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
            seen.append([len(events), *query("SELECT attempts FROM events.attempts WHERE processor = 'watcher'")])

    sent = publish("a", "b")
    assert execute(Watcher, sent, careful=True).outcomes == {"done": 2}
    assert seen == [[1, (1,)], [1, (1,)]]
    assert query(ATTEMPTS) == []


def test_what_was_applied_before_its_neighbour_killed_the_worker_spends_no_attempt(query: Query) -> None:
    sent = publish("a", "b")
    execute(TestCountProcessor, sent)
    for _ in range(TestCountProcessor.max_attempts + 1):
        assert execute(TestCountProcessor, sent, careful=True).outcomes == {"skipped": 2}
    assert query(ATTEMPTS) == query(LETTERS) == []


def test_a_claim_of_another_event_does_not_count_in_a_careful_run_either(query: Query) -> None:
    (position,) = publish("a")
    query("INSERT INTO analytics.processed_events VALUES ('test_count', %s, %s)", position, uuid4())
    assert execute(TestCountProcessor, [position], careful=True).outcomes == {"done": 1}
    assert positions(query(EFFECTS)) == [position]


def test_an_event_whose_worker_died_too_often_is_dead_and_the_others_are_applied(query: Query) -> None:
    sent = publish("a", "b", "c")
    query("INSERT INTO events.attempts VALUES ('test_count', %s, 5, now(), now())", sent[1])
    assert execute(TestCountProcessor, sent, careful=True).outcomes == {"done": 2, "dead": 1}
    assert query(LETTERS)[0][:2] == (sent[1], "WorkerLost")
    assert positions(query(EFFECTS)) == [sent[0], sent[2]]


class Killer(Counting, register=False):
    name = "killer"
    max_attempts = ProjectionProcessor.max_attempts

    def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
        raise KeyboardInterrupt  # nothing of ours catches it, as with a kill


def test_an_event_that_kills_its_workers_is_dead_after_a_few_although_a_failing_one_has_many_attempts(
    query: Query,
) -> None:
    (position,) = publish("a")
    for _ in range(5):
        with pytest.raises(KeyboardInterrupt):
            execute(Killer, [position], careful=True)
    assert execute(Killer, [position], careful=True).outcomes == {"dead": 1}
    assert query(LETTERS)[0][:2] == (position, "WorkerLost")


def test_runs_that_end_are_no_crashes(query: Query) -> None:
    class Failing(Counting, register=False):
        name = "failing"
        max_attempts = ProjectionProcessor.max_attempts

    (position,) = publish("transient")
    for spent in range(1, 14):
        assert execute(Failing, [position], careful=True, ends_wait=True).outcomes == {"retry": 1}
        assert query("SELECT attempts, crashes FROM events.attempts") == [(spent, 0)]
    assert execute(Failing, [position], careful=True, ends_wait=True).outcomes == {"dead": 1}


def test_a_careful_run_that_ends_in_a_snooze_gives_its_attempt_back(query: Query) -> None:
    (position,) = publish("snooze")
    execute(TestCountProcessor, [position], careful=True)
    assert query(ATTEMPTS) == [(position, 0, "Snooze")]


def test_a_careful_run_counts_a_failure_once(query: Query) -> None:
    (position,) = publish("transient")
    execute(TestCountProcessor, [position], careful=True)
    assert query(ATTEMPTS) == [(position, 1, "Transient")]


def test_a_careful_run_hands_back_what_it_has_no_time_for(query: Query) -> None:
    sent = publish("a", "b", "c")
    report = execute(TestCountProcessor, sent, careful=True, budget=0)
    assert report.resend == [Resend(tuple(sent), 1, careful=True)]
    assert query(CLAIMS) == []
