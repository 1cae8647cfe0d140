"""Messages to many when mails are not taken, workers meet or one is killed: each follower is told once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from uuid import UUID

import pytest

from fundlyhub.processors.notifications import (
    EmailBroadcastProcessor,
)
from fundlyhub.testing.providers import Behaviour, SendGrid
from tests.notifications.conftest import close_breakers
from tests.notifications.followers import (
    COUNTS,
    followed_by,
    mailed,
    to_the_end,
    to_the_end_of,
)
from tests.notifications.occasions import update
from tests.notifications.post import Post, at_once
from tests.notifications.test_sending import RESET, due_now, replay
from tests.support import ROOT
from tests.support.platform import wait_until


def test_of_forty_followers_only_those_are_tried_again_whose_mail_was_not_taken(post: Post, mailer: SendGrid) -> None:
    followed_by(post, range(40))
    mailer.behave(Behaviour(status=503, slow=0.3), Behaviour(status=400), RESET)  # others go out beside the slow one
    positions = post.known(update)
    report = mailed(post, positions)
    assert report.outcomes == {"snoozed": 1}, "a message that is tried again costs its event no attempt"
    assert post.rows(COUNTS) == [("failed", 1), ("queued", 1), ("sent", 37), ("unknown", 1)]
    assert 10 <= report.resend[0].seconds <= 15
    due_now(post)
    assert mailed(post, positions).outcomes == {"dead": 1}, "nothing waits any more: now the worst is told"
    assert post.rows(COUNTS) == [("failed", 1), ("sent", 38), ("unknown", 1)]
    assert len(mailer.accepted) == 39
    replay(post, positions)
    assert mailed(post, positions).outcomes == {"done": 1}
    assert post.rows(COUNTS) == [("sent", 40)]
    assert len(mailer.accepted) == 41


def test_a_mail_that_is_never_taken_has_failed_in_the_end_and_the_others_are_sent(post: Post, mailer: SendGrid) -> None:
    followed_by(post, range(12))
    positions = post.known(update)
    mailer.behave(Behaviour(status=503, slow=0.2))
    mailed(post, positions)
    waits = []
    while post.rows(COUNTS) == [("queued", 1), ("sent", 11)]:
        left = "SELECT extract(epoch FROM not_before - changed_at)::int FROM app.notifications WHERE state = 'queued'"
        waits += post.column(left)
        due_now(post)
        close_breakers()
        mailer.behave(Behaviour(status=503))
        mailed(post, positions)
    assert waits == [15, 60, 240, 960, 3600, 3600, 3600]
    assert post.rows(COUNTS) == [("failed", 1), ("sent", 11)]
    assert [(name, error) for name, error, _ in post.letters()] == [("email_broadcast", "Permanent")]


@pytest.mark.chaos  # for its length
def test_a_provider_that_has_had_enough_is_left_alone_by_all_broadcasts(post: Post, mailer: SendGrid) -> None:
    followed_by(post, range(40))
    other = update.model_copy(update={"update_id": UUID(int=78)})
    first, second = post.known(update), post.known(other)
    mailer.behave(*[Behaviour(status=429, retry_after="2")] * 8)
    report = mailed(post, first)
    assert report.outcomes == {"snoozed": 1}
    assert report.resend[0].seconds == 2
    asked = mailer.requests
    assert mailed(post, second).outcomes == {"snoozed": 1}
    assert mailer.requests == asked, "the second one knows what the first was told"
    wait_until(lambda: mailed(post, first).outcomes != {"snoozed": 1} or post.claims(EmailBroadcastProcessor),
               what="the end of its pause")  # fmt: skip
    for positions in (first, second):
        to_the_end_of(post, positions)
    assert len(mailer.accepted) == 80


def test_three_workers_with_the_same_event_tell_each_follower_once(post: Post, mailer: SendGrid) -> None:
    followed_by(post, range(300))
    positions = post.known(update)
    at_once(3, lambda: mailed(post, positions))
    to_the_end(post, positions)
    assert len(mailer.accepted) == 300
    assert len({one.recipient for one in mailer.accepted}) == 300


@pytest.mark.parametrize("where", ["before the row is taken", "before the call", "in the call", "after the call",
                                   "after the row is settled", "before the rows are written"])  # fmt: skip
def test_a_worker_that_is_killed_at_any_step_leaves_nobody_untold_and_tells_nobody_twice(
    post: Post, mailer: SendGrid, where: str
) -> None:
    followed_by(post, range(40))
    positions = post.known(update)
    if where == "in the call":
        mailer.always = Behaviour(slow=60)
    killed = subprocess.Popen(
        [sys.executable, "-m", "tests.notifications.send_and_die", where, *map(str, positions)], cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TO_MANY": "yes"},
    )  # fmt: skip
    if where == "in the call":
        wait_until(lambda: mailer.concurrent == 16, what="the calls")
        killed.kill()
    assert killed.wait(60) == -signal.SIGKILL
    mailer.always = Behaviour()
    took = len(mailer.accepted)
    due_now(post)

    def ended() -> bool:
        due_now(post)
        mailed(post, positions)
        return bool(post.claims(EmailBroadcastProcessor) or post.letters())

    wait_until(ended, what="the end")
    states = dict(post.rows(COUNTS))
    assert states.get("sent", 0) + states.get("unknown", 0) == 40
    assert states.get("unknown", 0) <= 16, "no more are in doubt than were being called"
    assert len({one.recipient for one in mailer.accepted}) == len(mailer.accepted)
    if where in ("before the row is taken", "after the row is settled", "before the rows are written"):
        assert states == {"sent": 40}
        assert len(mailer.accepted) == 40
    else:
        assert states["unknown"] >= 1
        assert len(mailer.accepted) >= max(took, 24)
