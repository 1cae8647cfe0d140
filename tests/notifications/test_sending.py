"""From the ledger through a provider and back: what each answer leaves behind, and that nothing goes out twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from celery.exceptions import SoftTimeLimitExceeded

from fundlyhub import UserFollowedUser
from fundlyhub.processing.report import Report
from fundlyhub.processors.notifications import EmailNotificationProcessor, PushNotificationProcessor
from fundlyhub.testing.providers import Behaviour, Fcm, SendGrid
from tests.notifications.post import JOHN, ME, WELLS, Post, at_once, registered
from tests.support import ROOT
from tests.support.make import completed
from tests.support.platform import wait_until

GIFT = UUID(int=92)
RESET = Behaviour(how="reset after reading")


def receipt(post: Post) -> list[int]:
    """A gift of mine to my own campaign, taken up by what is written: one mail, the receipt."""
    return post.known(completed(WELLS, donation_id=GIFT, donor_id=ME))


def mailed(post: Post, positions: list[int]) -> Report:
    """One run of the mails."""
    return post.run(EmailNotificationProcessor, positions)


def replay(post: Post, positions: list[int]) -> None:
    """What an operator does with a dead letter."""
    post.sql("UPDATE events.dead_letters SET state = 'replayed' WHERE position = ANY (%s)", positions)


def due_now(post: Post) -> None:
    """The time that messages wait for has come."""
    post.sql("UPDATE app.notifications SET not_before = now(), lease_until = now() - interval '1 second'")
    post.sql("UPDATE events.attempts SET next_at = now()")


@pytest.mark.parametrize(
    ("behaviour", "state", "outcome", "attempts", "copies"),
    [
        (Behaviour(), "sent", "done", None, 1),
        (Behaviour(slow=0.3), "sent", "done", None, 1),
        (Behaviour(status=400), "failed", "dead", None, 0),
        (Behaviour(status=413), "failed", "dead", None, 0),
        (Behaviour(status=401), "queued", "snoozed", 0, 0),
        (Behaviour(status=403), "queued", "snoozed", 0, 0),
        (Behaviour(status=429, retry_after="7"), "queued", "snoozed", 0, 0),
        (Behaviour(status=503), "queued", "retry", 1, 0),
        (Behaviour(status=500), "unknown", "dead", None, 0),
        (Behaviour(status=502), "unknown", "dead", None, 0),
        (Behaviour(status=504), "unknown", "dead", None, 0),
        (Behaviour(how="hang"), "unknown", "dead", None, 1),
        (Behaviour(how="close"), "unknown", "dead", None, 1),
        (RESET, "unknown", "dead", None, 1),
    ],
    ids=str,
)
def test_what_each_answer_leaves_behind(
    post: Post, mailer: SendGrid, behaviour: Behaviour, state: str, outcome: str, attempts: int | None, copies: int
) -> None:
    mailer.behave(behaviour)
    positions = receipt(post)
    assert mailed(post, positions).outcomes == {outcome: 1}
    assert post.states("donation_receipt")["email"] in (state, post.entries("donation_receipt")[0].reason)
    assert post.entries("donation_receipt")[0].state == state
    assert len(mailer.accepted) == copies
    assert post.column("SELECT attempts FROM events.attempts") == ([] if attempts is None else [attempts])
    assert len(post.letters()) == (outcome == "dead")
    assert (post.claims(EmailNotificationProcessor) == positions) is (outcome == "done")
    # Whatever it was, a second run sends nothing more on its own.
    due = state == "queued"
    mailed(post, positions)
    assert len(mailer.accepted) == copies + (1 if due and attempts == 1 else 0)


def test_a_limit_is_waited_out_as_long_as_the_provider_says(post: Post, mailer: SendGrid) -> None:
    mailer.behave(Behaviour(status=429, retry_after="50"))
    positions = receipt(post)
    report = mailed(post, positions)
    assert [(one.positions, one.seconds) for one in report.resend] == [((positions[0],), 50)]
    assert post.column("SELECT round(extract(epoch FROM not_before - changed_at)) FROM app.notifications"
                       " WHERE state = 'queued'") == [50]  # fmt: skip
    mailed(post, positions)
    assert mailer.requests == 1, "too early: nothing is asked"
    due_now(post)
    assert mailed(post, positions).outcomes == {"done": 1}
    assert len(mailer.accepted) == 1


def test_what_may_have_gone_out_waits_for_a_person_and_goes_again_when_he_says_so(post: Post, mailer: SendGrid) -> None:
    mailer.behave(RESET)
    positions = receipt(post)
    mailed(post, positions)
    assert [(name, error) for name, error, _ in post.letters()] == [("email_notification", "OutcomeUnknown")]
    assert "outcome unknown" in post.letters()[0][2]
    mailed(post, positions)
    assert len(mailer.accepted) == 1
    replay(post, positions)
    assert mailed(post, positions).outcomes == {"done": 1}
    assert len(mailer.accepted) == 2
    mailed(post, positions)
    assert len(mailer.accepted) == 2


def test_a_replay_whose_call_breaks_again_wants_another_decision(post: Post, mailer: SendGrid) -> None:
    mailer.behave(RESET, RESET)
    positions = receipt(post)
    mailed(post, positions)
    replay(post, positions)
    assert mailed(post, positions).outcomes == {"dead": 1}
    mailed(post, positions)
    assert len(mailer.accepted) == 2
    assert post.column("SELECT state FROM events.dead_letters") == ["open"]


def test_a_push_message_is_sent_again_in_the_first_ones_place(post: Post, pusher: Fcm) -> None:
    post.people(JOHN)
    pusher.behave(RESET)
    positions = post.known(UserFollowedUser(follower_id=JOHN, followed_user_id=ME))
    assert post.run(PushNotificationProcessor, positions).outcomes == {"retry": 1}
    assert post.run(PushNotificationProcessor, positions).outcomes == {"done": 1}
    assert len(pusher.accepted) == 2
    assert len({one.reference for one in pusher.accepted}) == 1, "one collapse key: the device shows one"


def test_a_device_that_is_gone_is_forgotten_and_no_failure(post: Post, pusher: Fcm) -> None:
    post.people(JOHN)
    pusher.behave(Behaviour(status=404, code="UNREGISTERED"))
    positions = post.known(UserFollowedUser(follower_id=JOHN, followed_user_id=ME))
    assert post.run(PushNotificationProcessor, positions).outcomes == {"done": 1}
    assert post.states("new_follower") == {"push": "address gone"}
    positions = post.known(UserFollowedUser(follower_id=JOHN, followed_user_id=ME))
    post.run(PushNotificationProcessor, positions)
    assert [one.reason for one in post.entries("new_follower")] == ["no device", "address gone"]
    assert pusher.requests == 1


def test_a_second_device_gets_its_own_copy_and_the_first_no_second(post: Post, pusher: Fcm) -> None:
    post.people(JOHN)
    post.sql("INSERT INTO app.devices (user_id, token) VALUES (%s, 'another')", ME)
    pusher.behave(Behaviour(), Behaviour(status=503))
    positions = post.known(UserFollowedUser(follower_id=JOHN, followed_user_id=ME))
    assert post.run(PushNotificationProcessor, positions).outcomes == {"retry": 1}
    assert post.run(PushNotificationProcessor, positions).outcomes == {"done": 1}
    assert sorted(one.recipient for one in pusher.accepted) == ["another", "device-of-1"]


def test_a_redelivery_while_the_first_worker_still_sends_sends_nothing(post: Post, mailer: SendGrid) -> None:
    mailer.behave(Behaviour(slow=0.8))
    positions = receipt(post)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(mailed, post, positions)
        wait_until(lambda: mailer.concurrent == 1, what="the first worker's call")
        assert mailed(post, positions).outcomes == {"snoozed": 1}
        assert first.result(30).outcomes == {"done": 1}
    assert len(mailer.accepted) == 1
    assert mailed(post, positions).outcomes in ({"skipped": 1}, {})


def test_a_time_limit_in_mid_call_lets_the_call_end_and_writes_down_what_came_of_it(
    post: Post, mailer: SendGrid
) -> None:
    def strike(*_: object) -> None:
        raise SoftTimeLimitExceeded

    before = signal.signal(signal.SIGUSR1, strike)
    mailer.behave(Behaviour(slow=0.8))
    positions = receipt(post)
    try:
        with ThreadPoolExecutor(1) as pool:
            struck = pool.submit(_strike_in_the_call, mailer)
            mailed(post, positions)
            struck.result(30)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert post.states("donation_receipt") == {"email": "sent"}
    assert post.claims(EmailNotificationProcessor) == []
    assert mailed(post, positions).outcomes == {"done": 1}
    assert len(mailer.accepted) == 1


def _strike_in_the_call(mailer: SendGrid) -> None:
    """As Celery's soft time limit does: a signal to the main thread."""
    wait_until(lambda: mailer.concurrent == 1, what="the call")
    os.kill(os.getpid(), signal.SIGUSR1)


def test_eight_workers_with_the_same_batch_send_each_mail_once(post: Post, mailer: SendGrid) -> None:
    positions = post.known(*(registered(UUID(int=500 + n)) for n in range(40)))
    at_once(8, lambda: mailed(post, positions))
    post.sql("UPDATE events.attempts SET next_at = now()")

    def all_claimed() -> bool:
        mailed(post, positions)
        return len(post.claims(EmailNotificationProcessor)) == 40

    wait_until(all_claimed, what="all claims")
    assert sorted({one.recipient for one in mailer.accepted}) == sorted(one.recipient for one in mailer.accepted)
    assert len(mailer.accepted) == 40


@pytest.mark.parametrize(
    ("where", "copies", "after"),
    [("before the call", 0, "dead"), ("in the call", 1, "dead"), ("after the call", 1, "dead"),
     ("before the row is taken", 0, "done"), ("after the row is settled", 1, "done")],
)  # fmt: skip
def test_a_worker_that_is_killed_leaves_a_ledger_that_tells_what_to_do(
    post: Post, mailer: SendGrid, where: str, copies: int, after: str
) -> None:
    positions = receipt(post)
    if where == "in the call":
        mailer.behave(Behaviour(slow=60))
    killed = subprocess.Popen(
        [sys.executable, "-m", "tests.notifications.send_and_die", where, *map(str, positions)], cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    if where == "in the call":
        wait_until(lambda: mailer.concurrent == 1, what="the call")
        killed.kill()
    assert killed.wait(60) == -signal.SIGKILL
    assert len(mailer.accepted) == copies
    if where not in ("before the row is taken", "after the row is settled"):
        assert post.states("donation_receipt") == {"email": "sending"}
        assert mailed(post, positions).outcomes == {"snoozed": 1}, "its lease still runs"
        due_now(post)
    assert mailed(post, positions).outcomes == {after: 1}
    assert len(mailer.accepted) == (1 if after == "done" else copies), "no receipt is mailed twice"
    state, reason = post.rows("SELECT state, reason FROM app.notifications WHERE template = 'donation_receipt'")[0]
    assert (state, reason) == (("sent", None) if after == "done" else ("unknown", "its worker was lost"))
    assert [error for _, error, _ in post.letters()] == (["OutcomeUnknown"] if after == "dead" else [])


def test_nothing_of_a_person_is_in_what_operators_see(
    post: Post, mailer: SendGrid, caplog: pytest.LogCaptureFixture
) -> None:
    mailer.behave(Behaviour(status=400), RESET)
    for donation in (GIFT, UUID(int=93)):
        mailed(post, post.known(completed(WELLS, donation_id=donation, donor_id=ME)))
    seen = str(post.rows("SELECT * FROM events.dead_letters")) + str(post.rows("SELECT * FROM app.notifications"))
    for private in ("user1@example.org", "User 1", "Wells", "SG.key", "Dear"):
        assert private not in seen + caplog.text


def during_the_call(post: Post, mailer: SendGrid, change: str) -> tuple[list[int], Report]:
    """A receipt whose row in the ledger is changed while the provider takes its time."""
    mailer.behave(Behaviour(slow=0.5))
    positions = receipt(post)
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(mailed, post, positions)
        wait_until(lambda: mailer.requests == 1, what="the call")
        post.sql(change)
        return positions, run.result()


def test_a_mail_whose_row_was_lost_is_not_done_but_unknown(post: Post, mailer: SendGrid) -> None:
    """The database went over to a replica that had not got the row: that may be so for other rows too."""
    positions, report = during_the_call(post, mailer, "DELETE FROM app.notifications")
    assert report.outcomes == {"dead": 1}
    assert post.claims(EmailNotificationProcessor) == []
    ((_, error, said),) = post.letters()
    assert error == "OutcomeUnknown" and "its row in the ledger was lost" in said
    assert [one.state for one in post.entries("donation_receipt")] == ["unknown"]
    mailed(post, positions)
    assert len(mailer.accepted) == 1
    replay(post, positions)
    assert mailed(post, positions).outcomes == {"done": 1}
    first, second = (mail.reference for mail in mailer.accepted)
    assert first == second, "who gets it twice can tell"


def test_a_mail_whose_row_has_lost_its_lease_was_sent(post: Post, mailer: SendGrid) -> None:
    lost = "UPDATE app.notifications SET state = 'queued', token = NULL, lease_until = NULL, tries = 0"
    positions, report = during_the_call(post, mailer, lost)
    assert report.outcomes == {"done": 1}
    assert [one.state for one in post.entries("donation_receipt")] == ["sent"]
    mailed(post, positions)
    assert len(mailer.accepted) == 1
