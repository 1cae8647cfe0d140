"""Digests when events come again, workers meet or one is killed: each message is gathered and told once."""

from __future__ import annotations

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from fundlyhub.database import get_engine
from fundlyhub.processing.executor import execute
from fundlyhub.processors.notifications import EmailNotificationProcessor
from fundlyhub.processors.notifications.policy import GATHERED
from fundlyhub.testing.providers import SendGrid
from tests.notifications.gathering import MEMBERS, ROWS, SETTLED, due, gifts, outbox, owner_states, sweep
from tests.notifications.post import Post
from tests.support import ROOT


def test_what_comes_while_a_digest_is_open_joins_it_and_what_comes_after_it_is_told_the_next(post: Post) -> None:
    post.tell(*gifts(21))
    post.tell(*gifts(2, 2_000))
    due(post)
    sweep()
    post.tell(*gifts(4, 3_000))
    assert post.column("SELECT count(*)::int FROM app.digest_members GROUP BY digest_id ORDER BY 1") == [3, 4]
    due(post)
    sweep()
    assert [one.split(" ")[0] for one in outbox() if "more gift" in one] == ["3", "4"]


def test_an_event_that_comes_again_and_a_second_event_of_its_matter_are_gathered_once(post: Post) -> None:
    positions = post.known(*gifts(22))
    post.run(EmailNotificationProcessor, positions)
    post.sql("DELETE FROM app.processed_events WHERE processor = 'email_notification'")
    post.run(EmailNotificationProcessor, positions)
    post.tell(*gifts(22))  # the same donations, under other event ids
    assert post.column(MEMBERS + " WHERE channel = 'email'") == [2]
    due(post)
    sweep()
    post.tell(*gifts(22))
    due(post)
    sweep()
    assert [one.split(" ")[0] for one in outbox() if "more gift" in one] == ["2"]
    assert owner_states(post) == [GATHERED] * 2 + ["sent"] * 20


def test_two_workers_with_the_same_events_gather_each_message_once(post: Post) -> None:
    positions = post.known(*gifts(30))
    with ThreadPoolExecutor(2) as pool:
        for run in [pool.submit(post.run, EmailNotificationProcessor, positions) for _ in range(2)]:
            run.result(60)
    post.run(EmailNotificationProcessor, positions)
    held = sum(one == GATHERED for one in owner_states(post))
    assert (held, owner_states(post).count("sent")) == (10, 20)
    assert post.column(MEMBERS) == [held]
    assert post.claims(EmailNotificationProcessor) == positions


def test_two_workers_tell_a_digest_once(post: Post, mailer: SendGrid) -> None:
    post.tell(*gifts(25))
    sent = mailer.requests
    due(post)
    with ThreadPoolExecutor(2) as pool:
        for run in [pool.submit(execute, EmailNotificationProcessor, []) for _ in range(2)]:
            run.result(60)
    assert mailer.requests == sent + 1
    assert post.rows(ROWS) == [("sent", None)]


def test_a_member_that_is_being_written_down_is_not_lost_to_a_digest_that_is_closed_meanwhile(post: Post) -> None:
    post.tell(*gifts(21))
    due(post)
    with get_engine("app").begin() as db:  # what a worker does when it adds a member
        db.exec_driver_sql("UPDATE app.digests SET channel = channel WHERE closed_at IS NULL")
        sweep()
        assert post.rows(ROWS) == [], "it is left alone until that worker has committed"
    sweep()
    assert post.rows(ROWS) == [("sent", None)]


@pytest.mark.parametrize("where", ["before the row is taken", "before the call", "after the call"])
@pytest.mark.chaos  # for its length
def test_a_worker_that_is_killed_leaves_a_digest_that_is_told(post: Post, mailer: SendGrid, where: str) -> None:
    post.tell(*gifts(24))
    sent = mailer.requests
    due(post)
    command = [sys.executable, "-m", "tests.notifications.send_and_die", where]
    run = subprocess.run(command, cwd=ROOT, check=False, timeout=60)
    assert run.returncode == -signal.SIGKILL
    assert post.column("SELECT closed_at IS NOT NULL FROM app.digests") == [where != "before the row is taken"]
    post.sql("UPDATE app.notifications SET lease_until = now() - interval '1 second' WHERE state = 'sending'")
    due(post)
    sweep()
    assert mailer.requests == sent + (2 if where == "after the call" else 1), "what may have gone out goes again"
    assert post.rows(ROWS) == [("sent", None)]
    assert post.column(MEMBERS + " WHERE channel = 'email'") == [4]
    assert post.column(SETTLED) == [True]
