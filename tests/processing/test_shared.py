"""Shared batches: one read and one transaction for several processors; what fails, fails alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import ClassVar

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from fundlyhub import Event, publish_event
from fundlyhub.database import get_engine
from fundlyhub.events.opaque import Unread
from fundlyhub.processing import pauses, shared
from fundlyhub.processing.executor import Outage, execute
from fundlyhub.processing.processor import Processor
from fundlyhub.processing.routing import Batch
from fundlyhub.processing.shared import Shared, execute_shared
from tests.processing import handed_over
from tests.processing.conftest import Query
from tests.processing.look import ATTEMPTS, LETTERS, Counting, by_sql, publish
from tests.support.command import dsns, environment, run
from tests.support.make import completed, initiated
from tests.support.processors import TestCountProcessor

EFFECTS = "SELECT processor, position FROM analytics.test_effects ORDER BY processor, position"
CLAIMS = "SELECT processor, position FROM analytics.processed_events ORDER BY processor, position"


class Neighbour(Counting, register=False):
    """Another processor of the queue; what it does to some events is its own affair."""

    name = "neighbour"
    handles = ("search.**", "search.query.submitted")
    trouble: ClassVar[Exception | None] = None

    def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
        if self.trouble is not None:
            raise self.trouble
        super().handle_batch(events, db)


class Last(Counting, register=False):
    """One that comes after it."""

    name = "zz_last"
    handles = ("search.**", "search.query.submitted")


GROUP: tuple[type[Processor], ...] = (Neighbour, TestCountProcessor, Last)


@pytest.fixture(autouse=True)
def sound() -> Iterator[None]:
    """No processor has failed before, and none fails unless a test says so."""
    Neighbour.trouble = None
    shared._failed_at.clear()
    yield
    Neighbour.trouble = None


def of_all(positions: Sequence[int], *but: type[Processor]) -> list[tuple[str, int]]:
    names = sorted(one.name for one in GROUP if one not in but)
    return [(name, position) for name in names for position in positions]


def run_left(done: Shared) -> None:
    """What the workers do with the messages that a shared run leaves."""
    for batch in done.left:
        (processor,) = batch.processors
        execute(processor, batch.positions, careful=done.careful)


def test_events_run_through_all_processors_and_once(query: Query) -> None:
    sent = publish("a", "b")
    done = execute_shared(GROUP, sent)
    assert (done.report.outcomes, done.left) == ({"done": 6}, [])
    assert query(EFFECTS) == query(CLAIMS) == of_all(sent)
    again = execute_shared(GROUP, [*sent, *sent])
    assert (again.report.outcomes, again.left) == ({"skipped": 6}, [])
    assert query(EFFECTS) == query(CLAIMS) == of_all(sent)


def test_one_transaction_holds_all_effects(query: Query) -> None:
    execute_shared(GROUP, publish("a", "b"))
    assert query("SELECT count(DISTINCT xmin::text) FROM analytics.processed_events") == [(1,)]
    assert query("SELECT count(DISTINCT xmin::text) FROM analytics.test_effects") == [(1,)]


def test_each_processor_gets_the_types_that_it_wants(query: Query) -> None:
    word, gift = publish("a")[0], publish_event(initiated()).position or 0
    done = execute_shared(GROUP, [word, gift])
    assert done.report.outcomes == {"done": 4}
    assert query(CLAIMS) == sorted([*of_all([word]), ("test_count", gift)])


def test_what_one_of_them_has_applied_before_is_applied_by_the_others(query: Query) -> None:
    sent = publish("a", "b", "c")
    execute(Neighbour, sent[1:2])
    done = execute_shared(GROUP, sent)
    assert (done.report.outcomes, done.left) == ({"done": 8, "skipped": 1}, [])
    assert query(EFFECTS) == query(CLAIMS) == of_all(sent)


def test_a_claim_of_another_event_at_the_position_does_not_count(query: Query) -> None:
    sent = publish("a", "b")
    execute_shared(GROUP, sent)
    query("UPDATE analytics.processed_events SET event_id = gen_random_uuid() WHERE position = %s", sent[0])
    assert execute_shared(GROUP, sent).report.outcomes == {"done": 3, "skipped": 3}


@pytest.mark.parametrize("trouble", [KeyError("x"), ValueError("y"), RuntimeError("z")])
def test_one_that_fails_holds_up_no_other_and_is_run_alone(query: Query, trouble: Exception) -> None:
    Neighbour.trouble = trouble
    sent = publish("a", "b")
    done = execute_shared(GROUP, sent)
    assert done.report.outcomes == {"done": 4}
    assert (done.left, done.careful) == ([Batch((Neighbour,), tuple(sent))], False)
    assert query(EFFECTS) == query(CLAIMS) == of_all(sent, Neighbour)
    assert query(ATTEMPTS) == [], "a shared run charges nothing"
    Neighbour.trouble = None
    run_left(done)
    assert query(EFFECTS) == query(CLAIMS) == of_all(sent)


def test_one_that_has_failed_runs_alone_for_a_while(query: Query) -> None:
    Neighbour.trouble = KeyError("x")
    execute_shared(GROUP, publish("a"))
    Neighbour.trouble = None
    (position,) = publish("b")
    done = execute_shared(GROUP, [position])
    assert (done.report.outcomes, done.left) == ({"done": 2}, [Batch((Neighbour,), (position,))])
    shared._failed_at[Neighbour.name] -= shared.ALONE_FOR
    assert execute_shared(GROUP, publish("c")).report.outcomes == {"done": 3}


def test_an_event_that_all_of_them_refuse_is_a_letter_of_each_and_the_others_are_applied(query: Query) -> None:
    sent = publish("a", "permanent", "b")
    done = execute_shared(GROUP, sent)
    assert done.report.outcomes == {}
    run_left(done)
    good = [sent[0], sent[2]]
    assert query(EFFECTS) == query(CLAIMS) == of_all(good)
    assert [row[0] for row in query(LETTERS)] == [sent[1]] * 3


def test_an_event_that_cannot_be_read_is_left_to_each_processor_and_the_others_are_applied(query: Query) -> None:
    wrong, good = by_sql(query, "search.query.submitted", '{"query": 7}'), publish("a")
    done = execute_shared(GROUP, [wrong, *good])
    assert done.report.outcomes == {"done": 3}
    assert done.left == [Batch((one,), (wrong,)) for one in GROUP]
    run_left(done)
    assert [row[0] for row in query(LETTERS)] == [wrong] * 3


def test_a_batch_with_an_event_that_has_failed_before_is_divided(query: Query) -> None:
    sent = publish("a", "transient")
    execute(TestCountProcessor, sent[1:])
    done = execute_shared(GROUP, sent)
    assert (done.report.outcomes, query(EFFECTS)) == ({}, [])
    assert done.left == [Batch((one,), tuple(sent)) for one in GROUP]


def test_of_a_paused_processor_nothing_is_run(query: Query) -> None:
    with get_engine("events").begin() as db:
        pauses.pause_by_hand(db, "neighbour", who="ann", reason="x")
    sent = publish("a")
    run_left(execute_shared(GROUP, sent))
    assert query(EFFECTS) == query(CLAIMS) == of_all(sent, Neighbour)


def test_a_batch_whose_worker_died_is_run_with_care_by_each_alone(query: Query) -> None:
    sent = publish("a", "b")
    done = execute_shared(GROUP, sent, careful=True)
    assert (done.left, done.careful) == ([Batch((one,), tuple(sent)) for one in GROUP], True)
    run_left(done)
    assert query(EFFECTS) == query(CLAIMS) == of_all(sent)


def test_a_time_limit_in_a_handler_leaves_careful_runs(query: Query) -> None:
    Neighbour.trouble = SoftTimeLimitExceeded()
    sent = publish("a")
    done = execute_shared(GROUP, sent)
    assert (done.report.outcomes, done.careful, len(done.left)) == ({}, True, 3)
    assert query(CLAIMS) == []


def test_a_handler_that_swallows_a_database_error_commits_nothing_for_the_others(query: Query) -> None:
    class Careless(Neighbour, register=False):
        name = "careless"

        def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
            with suppress(DBAPIError):
                db.exec_driver_sql("SELECT 1 / 0")

    sent = publish("a")
    done = execute_shared((Careless, TestCountProcessor), sent)
    assert done.left == [Batch((Careless,), tuple(sent))]
    assert query(EFFECTS) == query(CLAIMS) == [("test_count", sent[0])]


def test_a_processor_whose_table_is_missing_waits_and_its_neighbours_do_not(query: Query) -> None:
    class Unmigrated(Neighbour, register=False):
        name = "unmigrated"

        def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
            db.exec_driver_sql("INSERT INTO not_there_yet VALUES (1)")

    sent = publish("a")
    done = execute_shared((TestCountProcessor, Unmigrated), sent)
    assert query(EFFECTS) == query(CLAIMS) == [("test_count", sent[0])]
    run_left(done)
    assert query("SELECT processor, position FROM events.attempts") == [("unmigrated", sent[0])]


def test_a_missing_table_of_claims_is_an_outage_of_all(query: Query) -> None:
    sent = publish("a")
    query("ALTER TABLE analytics.processed_events RENAME TO gone")
    with pytest.raises(Outage):
        execute_shared(GROUP, sent)


def test_dropped_claims_are_sorted_out_by_each_alone(query: Query) -> None:
    sent = publish("a")
    query("ALTER TABLE analytics.processed_events ADD CHECK (processor <> 'neighbour') NOT VALID")
    done = execute_shared(GROUP, sent)
    assert done.left == [Batch((one,), tuple(sent)) for one in GROUP]
    assert query(EFFECTS) == []


def test_what_is_too_large_together_is_left_to_shared_batches_of_its_own(query: Query) -> None:
    sent = publish(*("a" for _ in range(40)))
    query("UPDATE events.events SET metadata = jsonb_build_object('x', repeat(md5(position::text), 7500))")
    done = execute_shared(GROUP, sent)
    assert done.left
    assert {batch.processors for batch in done.left} == {GROUP}
    for batch in done.left:
        assert not execute_shared(batch.processors, batch.positions).left
    assert query(EFFECTS) == query(CLAIMS) == of_all(sent)


class Contentless(Counting, register=False):
    """One that needs no contents, as that of the lookup table does."""

    name = "contentless"
    handles = ("**", "search.**")
    reads_contents = False
    seen: ClassVar[list[Event]] = []

    def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
        type(self).seen += events
        super().handle_batch(events, db)


def test_one_that_needs_no_contents_gets_none(query: Query) -> None:
    Contentless.seen.clear()
    gift = publish_event(completed())
    execute_shared((Contentless, TestCountProcessor), [gift.position or 0, *publish("a")])
    assert [type(event.payload) for event in Contentless.seen] == [Unread, Unread]
    assert Contentless.seen[0].aggregate_id == gift.aggregate_id


def test_one_that_another_takes_over_gets_no_type_that_is_the_others_by_now(query: Query, dsn: str) -> None:
    gift = publish_event(initiated()).position or 0
    done = run(handed_over.__name__, [str(gift)], environment(dsns(dsn)))
    assert done.returncode == 0, done.stderr
    assert query(CLAIMS) == [("successor", gift)]
