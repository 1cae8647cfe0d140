"""What the database lacks is no event's fault: events wait without an attempt, and operators learn what is missing."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from psycopg.errors import lookup
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from fundlyhub import Event
from fundlyhub.errors import Unavailable
from fundlyhub.monitoring.connections import Connections
from fundlyhub.monitoring.processors import processors_run
from fundlyhub.monitoring.readings import _log
from fundlyhub.monitoring.status import status
from fundlyhub.processing.executor import execute
from fundlyhub.processing.outcome import History, Outcome, Retry, Snoozed, decide
from fundlyhub.settings import Settings
from tests.processing.conftest import Query
from tests.processing.deployed import PAUSES, SPENT, Deployed, deployed, pause  # noqa: F401  # a fixture
from tests.processing.look import CLAIMS, LETTERS, Counting, positions, publish

FAULTS = ["42P01", "42703", "42883", "42704", "3F000", "42501", "26000", "42P05", "0A000"]
REASONS = "SELECT DISTINCT error_class, reason FROM events.attempts"
NOW = datetime(2026, 1, 31, tzinfo=UTC)


def raised(state: str) -> DBAPIError:
    return DBAPIError("SELECT", {}, lookup(state)("x"))


def decided(state: str, attempts: int = 1, age: float = 0.0) -> Outcome:
    history = History(attempts, NOW - timedelta(seconds=age))
    return decide(raised(state), history, Counting, now=NOW, rng=random.Random(1))


@pytest.mark.parametrize("state", FAULTS)
def test_an_event_waits_for_what_the_database_lacks_however_long_and_however_often(state: str) -> None:
    for age, shortest, longest in ((0, 1, 1), (8, 4, 8), (40, 20, 40), (3_600, 30, 60), (1_000_000, 30, 60)):
        outcome = decided(state, attempts=1_000, age=age)
        assert isinstance(outcome, Snoozed)
        assert shortest <= outcome.seconds <= longest


@pytest.mark.parametrize("state", ["42601", "23505", "22012", "P0001"])
def test_other_errors_of_a_statement_spend_an_attempt(state: str) -> None:
    assert isinstance(decided(state), Retry)


class Typo(Counting, register=False):
    """An author's own table, misspelled in the branch of one word."""

    name = "typo"

    def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
        if any(event.payload.query == "typo" for event in events):  # type: ignore[attr-defined]
            db.exec_driver_sql("SELECT count(*) FROM analytics.no_such_table")
        super().handle_batch(events, db)


@pytest.mark.parametrize("careful", [False, True])
def test_a_missing_table_costs_no_attempt_and_its_event_is_applied_once_it_is_there(
    query: Query, careful: bool
) -> None:
    sent = publish("typo", "fine", "typo")
    for turn in range(Typo.max_attempts + Typo.max_crashes):
        outcomes = execute(Typo, sent, careful=careful, ends_wait=True).outcomes
        assert outcomes["snoozed"] == 2 and outcomes["done"] == (turn == 0)
    assert positions(query(CLAIMS)) == [sent[1]], "the rest of the batch is applied"
    assert query(LETTERS) == []
    assert query(SPENT) == [(2, 0)]
    assert query("SELECT DISTINCT crashes FROM events.attempts") == [(0,)]
    query("CREATE TABLE analytics.no_such_table ()")
    assert execute(Typo, sent, ends_wait=True).outcomes["done"] == 2
    assert query(SPENT) == [(0, 0)]


def test_the_wait_grows_up_to_a_minute_and_no_message_goes_round_meanwhile(query: Query) -> None:
    (position,) = publish("typo")
    (again,) = execute(Typo, [position]).resend
    assert (again.positions, again.seconds) == ((position,), 1)
    query("UPDATE events.attempts SET first_seen = now() - interval '2 days', next_at = now()")
    (again,) = execute(Typo, [position]).resend
    assert 30 <= again.seconds <= 60
    assert query(LETTERS) == []


@pytest.fixture
def sources(settings: Settings) -> Callable[[], tuple[str, float, object]]:
    """What health, the metrics and `status` say of the processor."""

    def look() -> tuple[str, float, object]:
        samples = {(one.metric, *one.labels): one.value for one in _log(Connections(settings), ["typo"])}
        with Connections(settings).open("events") as db:
            shown = status(db, {"typo": Typo})["processors"]["typo"]
        try:
            said = processors_run(settings)
        except Unavailable as error:
            said = str(error)
        return said, samples["fundlyhub_events_blocked", "typo"], shown["blocked"]

    return look


def test_operators_are_told_of_the_first_event_what_is_missing(
    query: Query, sources: Callable[[], tuple[str, float, object]]
) -> None:
    assert sources() == ("none is paused", 0, None)
    execute(Typo, publish("typo", "fine"))
    said, events, shown = sources()
    missing = 'UndefinedTable: SQLSTATE 42P01, relation "analytics.no_such_table" does not exist'
    assert said.startswith("blocked: typo: 1 events wait (" + missing)
    assert said.endswith("see `fundlyhub waiting`")
    assert events == 1
    assert isinstance(shown, dict) and shown["events"] == 1 and shown["reason"].startswith(missing)
    query("CREATE TABLE analytics.no_such_table ()")
    execute(Typo, positions(query("SELECT position FROM events.events")), ends_wait=True)
    assert sources() == ("none is paused", 0, None)


@pytest.mark.usefixtures("deployed")
def test_a_table_that_all_events_need_pauses_the_processor_before_there_are_letters(query: Query) -> None:
    Deployed.broken = raised("42P01")
    sent = publish(*["fine"] * 300)
    for start in range(0, 300, 10):
        execute(Deployed, sent[start : start + 10])
    assert pause() is not None
    ((kind, who, reason, failed),) = query(PAUSES)
    assert (kind, who, failed) == ("burst", "worker", 20)
    assert reason.startswith("UndefinedTable: SQLSTATE 42P01")
    assert query(SPENT) == [(20, 0)]
    assert query(LETTERS) == []


@pytest.mark.usefixtures("deployed")
def test_one_event_that_waits_so_never_pauses_its_processor(query: Query) -> None:
    Deployed.broken = raised("42501")
    (position,) = publish("fine")
    for _ in range(3 * (Deployed.pause_after or 0)):
        assert execute(Deployed, [position], ends_wait=True).outcomes == {"snoozed": 1}
    assert pause() is None
