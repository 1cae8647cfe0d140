"""How a batch runs: claim and effect together, failures alone, every outcome written down."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from fundlyhub import Event, UserFollowedUser, publish_event
from fundlyhub.database import dispose_engines, get_engine
from fundlyhub.processing.executor import Outage, execute
from tests.processing.conftest import Query
from tests.processing.look import ATTEMPTS, CLAIMS, EFFECTS, LETTERS, Counting, by_sql, positions, publish
from tests.support.make import initiated
from tests.support.processors import TestCountProcessor


def test_a_second_delivery_changes_nothing(query: Query) -> None:
    sent = publish("a", "b", "c")
    assert execute(TestCountProcessor, sent).outcomes == {"done": 3}
    assert execute(TestCountProcessor, sent).outcomes == {"skipped": 3}
    assert execute(TestCountProcessor, [*sent, *sent]).outcomes == {"skipped": 3}
    assert positions(query(EFFECTS)) == positions(query(CLAIMS)) == sent


def test_the_claim_names_the_event(query: Query) -> None:
    event = publish_event(initiated())
    execute(TestCountProcessor, [event.position or 0])
    assert query("SELECT processor, position, event_id FROM analytics.processed_events") == [
        ("test_count", event.position, event.id)
    ]


def test_the_good_events_of_a_failing_batch_are_applied_and_only_the_failing_ones_wait(query: Query) -> None:
    sent = publish("a", "transient", "b", "permanent", "c")
    report = execute(TestCountProcessor, sent)
    good = [sent[0], sent[2], sent[4]]
    assert report.outcomes == {"done": 3, "retry": 1, "dead": 1}
    assert positions(query(EFFECTS)) == positions(query(CLAIMS)) == good
    assert query(ATTEMPTS) == [(sent[1], 1, "Transient")]
    assert [resend.positions for resend in report.resend] == [(sent[1],)]
    assert query(LETTERS) == [(sent[3], "Permanent", "never", 1, "open")]


def test_a_transient_fault_is_retried_so_often_and_then_dead(query: Query) -> None:
    (position,) = publish("transient")
    for attempt in range(1, TestCountProcessor.max_attempts):
        assert execute(TestCountProcessor, [position], ends_wait=True).outcomes == {"retry": 1}
        assert query(ATTEMPTS) == [(position, attempt, "Transient")]
    assert execute(TestCountProcessor, [position], ends_wait=True).outcomes == {"dead": 1}
    assert query(ATTEMPTS) == []
    assert query(LETTERS) == [(position, "Transient", "not now", 5, "open")]


def test_what_rests_as_a_dead_letter_is_not_run_again(query: Query) -> None:
    (position,) = publish("permanent")
    execute(TestCountProcessor, [position])
    assert execute(TestCountProcessor, [position], ends_wait=True, careful=True).outcomes == {}
    query("UPDATE events.dead_letters SET state = 'replayed'")
    assert execute(TestCountProcessor, [position]).outcomes == {"dead": 1}
    assert query(LETTERS) == [(position, "Permanent", "never", 2, "open")]


def test_a_snooze_spends_no_attempt_and_a_long_one_is_left_to_the_sweep(query: Query) -> None:
    (position,) = publish("snooze")
    report = execute(TestCountProcessor, [position])
    assert report.outcomes == {"snoozed": 1}
    assert report.resend == []
    assert query(ATTEMPTS) == [(position, 0, "Snooze")]
    (due,) = query("SELECT next_at FROM events.attempts")[0]
    assert timedelta(seconds=80) < due - datetime.now(UTC) <= timedelta(seconds=90)


def test_a_snooze_is_dead_at_its_greatest_age(query: Query) -> None:
    (position,) = publish("snooze")
    execute(TestCountProcessor, [position])
    query("UPDATE events.attempts SET first_seen = first_seen - interval '25 hours'")
    assert execute(TestCountProcessor, [position], ends_wait=True).outcomes == {"dead": 1}


def test_an_event_that_waits_for_its_retry_is_left_to_the_message_that_was_sent_for_it(query: Query) -> None:
    (position,) = publish("snooze")
    execute(TestCountProcessor, [position])
    assert execute(TestCountProcessor, [position]).outcomes == {}
    assert execute(TestCountProcessor, [position], ends_wait=True).outcomes == {"snoozed": 1}


def test_a_success_forgets_the_attempts(query: Query) -> None:
    (position,) = publish("a")
    query("INSERT INTO events.attempts VALUES ('test_count', %s, 3, now(), now(), 'KeyError')", position)
    assert execute(TestCountProcessor, [position]).outcomes == {"done": 1}
    assert query(ATTEMPTS) == []


@pytest.mark.parametrize(
    ("payload", "version", "reason"),
    [
        ('{"query": 7}', "1.0.0", "payload.query: must be a text"),
        ("{}", "1.0.0", "payload.query: is required"),
        ('{"query": "a", "userId": "x"}', "1.0.0", "payload.userId: must be a UUID"),
        ('{"query": "a"}', "0.9.0", "version: 0.9.0"),
        ('{"query": "' + "x" * 100_001 + '"}', "1.0.0", "payload.query: must have at most 1000 characters"),
    ],
)
def test_what_enters_by_sql_and_is_wrong_is_a_dead_letter_with_a_reason(
    query: Query, payload: str, version: str, reason: str
) -> None:
    wrong = by_sql(query, "search.query.submitted", payload, version)
    good = publish("a", "b")
    assert execute(TestCountProcessor, [wrong, *good]).outcomes == {"done": 2, "dead": 1}
    assert positions(query(EFFECTS)) == good
    (letter,) = query(LETTERS)
    assert letter[0] == wrong
    assert reason in letter[2]


@pytest.mark.parametrize("amount", ['"NaN"', '"5"', "0", "-1", "5.001", "1e400", "1000000000001"])
def test_an_amount_that_is_none_is_a_dead_letter_that_names_it(query: Query, amount: str) -> None:
    donation = f'{{"donationId": "{uuid4()}", "campaignId": "{uuid4()}", "paymentMethod": "card", "amount": {amount}}}'
    wrong = by_sql(query, "donation.initiated", donation)
    good = publish("a")
    assert execute(TestCountProcessor, [wrong, *good]).outcomes == {"done": 1, "dead": 1}
    assert "amount" in query(LETTERS)[0][2]


def test_a_newer_version_waits_for_the_deploy_and_is_dead_when_it_is_too_old(query: Query) -> None:
    position = by_sql(query, "search.query.submitted", '{"query": "a"}', "3.0.0")
    assert execute(TestCountProcessor, [position]).outcomes == {"snoozed": 1}
    query("UPDATE events.attempts SET first_seen = first_seen - interval '25 hours'")
    assert execute(TestCountProcessor, [position], ends_wait=True).outcomes == {"dead": 1}
    assert "3.0.0" in query(LETTERS)[0][2]


def test_a_time_that_is_far_ahead_is_a_dead_letter(query: Query) -> None:
    ahead = datetime.now(UTC) + timedelta(days=1)
    position = by_sql(query, "search.query.submitted", '{"query": "a"}', occurred_at=ahead)
    assert execute(TestCountProcessor, [position]).outcomes == {"dead": 1}


def test_a_dead_letter_holds_no_value_of_the_event(query: Query) -> None:
    (position,) = publish("bug")
    query("INSERT INTO events.attempts VALUES ('test_count', %s, 4, now(), now(), 'KeyError')", position)
    execute(TestCountProcessor, [position])
    ((message, trace),) = query("SELECT error_message, traceback FROM events.dead_letters")
    assert "someone@example.org" not in message + trace.replace('raise KeyError("someone@example.org")', "")
    assert message.startswith("KeyError")
    assert "misbehave" in trace


def test_letters_of_one_fault_share_a_fingerprint(query: Query) -> None:
    execute(TestCountProcessor, publish("permanent", "permanent"))
    by_sql(query, "search.query.submitted", "{}")
    execute(TestCountProcessor, positions(query("SELECT position FROM events.events ORDER BY position")))
    prints = positions(query("SELECT fingerprint FROM events.dead_letters ORDER BY position"))
    assert prints[0] == prints[1] != prints[2]


def test_a_claim_of_another_event_at_the_position_does_not_count(query: Query) -> None:
    """The log was restored to an earlier time, and its positions were given out again."""
    (position,) = publish("a")
    query("INSERT INTO analytics.processed_events VALUES ('test_count', %s, %s)", position, uuid4())
    assert execute(TestCountProcessor, [position]).outcomes == {"done": 1}
    assert positions(query(EFFECTS)) == [position]
    assert execute(TestCountProcessor, [position]).outcomes == {"skipped": 1}


def test_a_position_that_is_not_in_the_log_is_passed_over(query: Query) -> None:
    (position,) = publish("a")
    assert execute(TestCountProcessor, [position, 999_999]).outcomes == {"done": 1}


def test_an_event_that_the_processor_does_not_want_is_neither_handled_nor_claimed(query: Query) -> None:
    """A message of before a restoration of the log, or of somebody else, names any position."""
    (position,) = publish("a")
    stray = publish_event(UserFollowedUser(follower_id=uuid4(), followed_user_id=uuid4())).position or 0
    for careful in (False, True):
        report = execute(TestCountProcessor, [stray, position], careful=careful)
        assert report.outcomes == ({"skipped": 1} if careful else {"done": 1})
        assert report.resend == []
    assert positions(query(EFFECTS)) == positions(query(CLAIMS)) == [position]


def test_a_handler_that_swallows_a_database_error_does_not_pass_for_done(query: Query) -> None:
    class Swallower(Counting, register=False):
        name = "swallower"

        def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
            with pytest.raises(DBAPIError):
                db.exec_driver_sql("SELECT 1/0")

    (position,) = publish("a")
    assert execute(Swallower, [position]).outcomes == {"dead": 1}
    assert "swallowed a database error" in query(LETTERS)[0][2]
    assert query(CLAIMS) == []


def test_a_database_error_is_told_by_its_names_and_not_by_its_values(query: Query) -> None:
    query("CREATE TABLE analytics.once (word text CONSTRAINT once_only UNIQUE)")
    query("INSERT INTO analytics.once VALUES ('someone@example.org')")

    class Twice(Counting, register=False):
        name = "twice"
        max_attempts = 1

        def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
            db.exec_driver_sql("INSERT INTO once VALUES ('someone@example.org')")

    execute(Twice, publish("a"))
    ((error, message, trace),) = query("SELECT error_class, error_message, traceback FROM events.dead_letters")
    assert error == "UniqueViolation"
    assert "SQLSTATE 23505" in message and "once_only" in message
    assert "someone@example.org" not in message
    assert "DETAIL" not in trace


def test_a_collision_with_a_neighbour_is_run_again_and_is_nobodys_fault(query: Query) -> None:
    class Collider(Counting, register=False):
        name = "collider"
        runs = 0

        def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
            type(self).runs += 1
            if type(self).runs < 3:
                db.exec_driver_sql("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40P01'; END $$")

    (position,) = publish("a")
    assert execute(Collider, [position]).outcomes == {"done": 1}
    assert Collider.runs == 3
    assert query(ATTEMPTS) == []


def test_an_outage_blames_no_event(query: Query) -> None:
    class Cut(Counting, register=False):
        name = "cut"

        def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
            db.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")

    sent = publish("a", "b")
    with pytest.raises(Outage):
        execute(Cut, sent)
    with pytest.raises(Outage):
        execute(Cut, sent, careful=True)
    assert query("SELECT attempts FROM events.attempts") == [(0,)]
    assert query(LETTERS) == query(CLAIMS) == []


def test_workers_with_overlapping_batches_apply_each_event_once(query: Query) -> None:
    sent = publish(*["a"] * 200)

    def work(offset: int) -> None:
        for start in range(0, 200, 20):
            first = (start + offset) % 200
            execute(TestCountProcessor, (sent + sent)[first : first + 60])

    threads = [threading.Thread(target=work, args=(offset,)) for offset in (0, 30, 90, 150)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert positions(query(EFFECTS)) == positions(query(CLAIMS)) == sent


def test_no_connection_is_left_in_a_transaction(query: Query) -> None:
    execute(TestCountProcessor, publish("a", "transient", "permanent"))
    assert query(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%%'"
    ) == [(0,)]
    assert get_engine("analytics").pool.checkedout() == 0  # type: ignore[attr-defined]  # a QueuePool
    dispose_engines(close=True)
