"""A batch is planned at once: with few statements, without rings of locks, and nobody pays for a neighbour."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event as engine_event

from fundlyhub import DonationCompleted
from fundlyhub.database import get_engine
from fundlyhub.processors.notifications import EmailNotificationProcessor
from fundlyhub.processors.notifications.policy import GATHERED
from tests.notifications.post import JOHN, MARY, ME, WELLS, Post, registered
from tests.support.make import campaign, completed
from tests.support.platform import wait_until

TREES = UUID(int=12)
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
OURS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s"


def sign_ups(post: Post, count: int) -> list[int]:
    """So many people sign up: each is to get a mail."""
    return post.known(*(registered(UUID(int=500 + n)) for n in range(count)))


@contextmanager
def statements() -> Iterator[list[str]]:
    """What is asked of the App DB meanwhile."""
    asked: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    engine_event.listen(get_engine("app"), "before_cursor_execute", note)
    yield asked
    engine_event.remove(get_engine("app"), "before_cursor_execute", note)


def test_the_plan_of_forty_events_takes_no_more_statements_than_that_of_one(post: Post) -> None:
    def planning(count: int, first: int) -> list[str]:
        gifts = [completed(WELLS, donation_id=UUID(int=first + n), donor_id=JOHN) for n in range(count)]
        positions = post.known(*gifts)
        with statements() as asked:
            assert post.run(EmailNotificationProcessor, positions).outcomes == {"done": count}
        sending = ("WITH ours AS", "WITH ended AS", "WITH settled AS", "INSERT INTO processed")
        planned = [one for one in asked if not one.lstrip().startswith(sending)]
        return [one for one in planned if not re.search("FROM (digests|delivery_reports)", one)]  # once a second

    post.people(JOHN)
    assert len(planning(40, 100)) == len(planning(1, 200))


def test_what_is_asked_again_and_again_is_prepared_once(post: Post) -> None:
    for position in sign_ups(post, 8):
        assert post.run(EmailNotificationProcessor, [position]).outcomes == {"done": 1}
    prepared = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%%INSERT INTO notifications%%'"
    assert post.column(prepared) == [1], "a rollback makes psycopg forget"


def test_an_event_that_cannot_be_planned_holds_up_no_other(post: Post) -> None:
    positions = sign_ups(post, 5)
    bad = post.column("SELECT id FROM events.events WHERE position = %s", positions[2])[0]
    post.sql(f"ALTER TABLE app.notifications ADD CONSTRAINT bad CHECK (event_id <> '{bad}')")
    assert post.run(EmailNotificationProcessor, positions).outcomes == {"done": 4, "retry": 1}
    assert post.claims(EmailNotificationProcessor) == positions[:2] + positions[3:]
    assert [one.state for one in post.entries("welcome")] == ["sent"] * 4
    post.sql("ALTER TABLE app.notifications DROP CONSTRAINT bad")
    assert post.run(EmailNotificationProcessor, positions).outcomes == {"skipped": 4, "done": 1}
    assert [one.state for one in post.entries("welcome")] == ["sent"] * 5


def test_one_that_waits_for_its_recipient_holds_up_no_other(post: Post) -> None:
    known, unknown = completed(WELLS, donor_id=ME), completed(WELLS, donor_id=MARY)
    positions = post.known(known, unknown, registered(JOHN))
    assert post.run(EmailNotificationProcessor, positions).outcomes == {"done": 2, "snoozed": 1}
    assert post.claims(EmailNotificationProcessor) == [positions[0], positions[2]]


def test_two_workers_that_plan_for_the_same_people_in_turned_order_never_wait_in_a_ring(post: Post) -> None:
    post.people(JOHN)
    post.known(campaign(TREES, user_id=JOHN, title="Trees", slug="trees"))
    mine, johns = (completed(one, donor_id=None, donor_email="guest@example.org") for one in (WELLS, TREES))
    first, second = post.known(mine, johns), post.known(*(again(one) for one in (johns, mine)))
    before = post.column(DEADLOCKS)
    with get_engine("app").connect() as db, ThreadPoolExecutor(2) as pool:
        db.exec_driver_sql("SELECT 1 FROM app.contacts WHERE user_id IN (%s, %s) FOR UPDATE", (ME, JOHN))
        runs = [pool.submit(post.run, EmailNotificationProcessor, batch) for batch in (first, second)]
        wait_until(lambda: post.column(WAITING) == [2], what="both to wait for the contacts")
        db.rollback()
        assert [run.result(30).outcomes for run in runs] == [{"done": 2}] * 2
    get_engine("app").dispose()  # a connection that ends tells what it has counted
    wait_until(lambda: post.column(OURS, "fundlyhub-app") == [1], what="the connections to end")
    assert post.column(DEADLOCKS) == before
    assert [one.state for one in post.entries("new_donation")] == ["sent"] * 4


def again(gift: DonationCompleted) -> DonationCompleted:
    """Another gift like it, by another payment."""
    return gift.model_copy(update={"donation_id": uuid4(), "transaction_id": uuid4().hex})


@pytest.mark.parametrize("more", [0, 1, 2])
def test_a_batch_that_comes_again_with_others_tells_nobody_twice_and_is_not_counted_twice(
    post: Post, more: int
) -> None:
    guest: Any = {"donor_id": None, "donor_email": "guest@example.org"}
    positions = post.known(*(completed(WELLS, donation_id=UUID(int=100 + n), **guest) for n in range(21)))
    assert post.run(EmailNotificationProcessor, positions[:19]).outcomes == {"done": 19}
    before = post.rows("SELECT id, state, tries, changed_at FROM app.notifications ORDER BY id")
    post.sql("DELETE FROM app.processed_events WHERE processor = 'email_notification'")
    again = positions[: 19 + more]
    assert post.run(EmailNotificationProcessor, again).outcomes == {"done": 19 + more}
    ids = [row[0] for row in before]
    kept = "SELECT id, state, tries, changed_at FROM app.notifications WHERE id = ANY (%s) ORDER BY id"
    assert post.rows(kept, ids) == before
    told = [one.reason or one.state for one in post.entries("new_donation")]
    assert sorted(told) == [GATHERED] * max(0, more - 1) + ["sent"] * min(19 + more, 20)
