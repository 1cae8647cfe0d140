"""Messages to many: in slices that go on from the database, each follower once, and no row for whom nothing is sent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from fundlyhub.events.catalogue.project import ProjectUpdateDeleted
from fundlyhub.processing.executor import execute
from fundlyhub.processing.settle import Report
from fundlyhub.processors.notifications import (
    EmailBroadcastProcessor,
    EmailNotificationProcessor,
    PushBroadcastProcessor,
)
from fundlyhub.processors.shared.address_hashes import address_hash
from fundlyhub.settings import get_settings
from tests.notifications.conftest import close_breakers
from tests.notifications.post import ME, WELLS, Post
from tests.notifications.test_messages import NEWS, update
from tests.notifications.test_sending import RESET, due_now, replay
from tests.support import ROOT
from tests.support.platform import wait_until
from tests.support.providers import Behaviour, Fcm, SendGrid

COUNTS = "SELECT state, count(*)::int FROM app.notifications WHERE template = 'project_update' GROUP BY 1 ORDER BY 1"
TOLD = "SELECT user_id FROM app.notifications WHERE template = 'project_update' AND state = 'sent' ORDER BY user_id"
AFTER = "SELECT after FROM app.broadcasts"
SKIPPED = "SELECT skipped FROM app.broadcasts"


class Short(EmailBroadcastProcessor, register=False):
    """Mails to many, in slices that end after the first few."""

    name = EmailBroadcastProcessor.name
    slice_time = 0.05


def user(number: int) -> UUID:
    """A follower."""
    return UUID(int=10_000 + number)


def followed_by(post: Post, numbers: Sequence[int], *, address: bool = True) -> None:
    """These users follow my campaign; they can be mailed at any time of day."""
    users = [user(number) for number in numbers]
    post.sql(
        "INSERT INTO app.contacts (user_id, email, quiet_from, quiet_until)"
        " SELECT id, CASE WHEN %s THEN 'u' || right(id::text, 6) || '@example.org' END, '03:00', '03:00'"
        " FROM unnest(%s::uuid[]) AS id", address, users,
    )  # fmt: skip
    follows = "INSERT INTO app.follows SELECT id, 'campaign', %s, now(), 1, true FROM unnest(%s::uuid[]) AS id"
    post.sql(follows, WELLS, users)


def mailed(post: Post, positions: list[int]) -> Report:
    """One slice of the mails."""
    return post.run(EmailBroadcastProcessor, positions)


def to_the_end(post: Post, positions: list[int]) -> None:
    """Slices until the event is claimed."""

    def claimed() -> bool:
        due_now(post)
        mailed(post, positions)
        return post.claims(EmailBroadcastProcessor) == positions

    wait_until(claimed, what="the claim")


def test_600_followers_are_told_each_once_and_a_second_delivery_tells_nobody(post: Post) -> None:
    followed_by(post, range(600))
    positions = post.known(update)
    to_the_end(post, positions)
    assert post.rows(COUNTS) == [("sent", 600)]
    assert post.column(TOLD) == [user(number) for number in range(600)]
    assert mailed(post, positions).outcomes == {"skipped": 1}
    assert post.rows(COUNTS) == [("sent", 600)]


def test_whom_no_message_reaches_costs_no_row_and_is_counted_by_the_reason(post: Post) -> None:
    followed_by(post, range(30))
    followed_by(post, range(30, 40), address=False)
    post.sql("UPDATE app.contacts SET suspended = true WHERE user_id = ANY (%s)", [user(n) for n in range(3)])
    post.sql("UPDATE app.contacts SET deleted = true WHERE user_id = ANY (%s)", [user(n) for n in range(3, 5)])
    post.sql("INSERT INTO app.preferences VALUES (%s, 'updates', 'email', false)", user(5))
    post.sql("INSERT INTO app.preferences VALUES (%s, '*', 'email', false)", user(6))
    for number, reason in ((7, "bounced"), (8, "complained")):
        (address,) = post.column("SELECT email FROM app.contacts WHERE user_id = %s", user(number))
        hashed = address_hash("email", address, get_settings().secret)
        suppression = "INSERT INTO app.suppressions (channel, address_hash, reason) VALUES ('email', %s, %s)"
        post.sql(suppression, hashed, reason)
    post.sql("INSERT INTO app.devices (user_id, token) SELECT user_id, 'device of ' || user_id FROM app.contacts"
             " WHERE user_id = ANY (%s)", [user(10), user(11)])  # fmt: skip
    positions = post.known(update)
    for processor in (EmailBroadcastProcessor, PushBroadcastProcessor):
        assert post.run(processor, positions).outcomes == {"done": 1}
    counts = "SELECT channel, state, count(*)::int FROM app.notifications GROUP BY 1, 2 ORDER BY 1, 2"
    assert post.rows(counts) == [("email", "sent", 21), ("push", "sent", 2)]
    email, push = post.column("SELECT skipped FROM app.broadcasts ORDER BY channel")
    assert email == {
        "no address": 10, "account suspended": 3, "account deleted": 2, "opted out": 2, "address bounced": 1,
        "recipient complained": 1,
    }  # fmt: skip
    assert push == {"no device": 36, "account deleted": 2}
    assert post.rows("SELECT told, finished_at IS NOT NULL FROM app.broadcasts ORDER BY channel") == [
        (21, True), (2, True)
    ]  # fmt: skip


def test_a_slice_ends_in_time_and_the_next_goes_on_where_it_ended(post: Post, mailer: SendGrid) -> None:
    followed_by(post, range(40))
    mailer.always = Behaviour(slow=0.1)
    positions = post.known(update)
    report = post.run(Short, positions)
    assert report.outcomes == {"snoozed": 1}
    assert [(one.positions, one.seconds) for one in report.resend] == [((positions[0],), 1)]
    assert 8 <= len(mailer.accepted) <= 16, "what is under way comes to its end"
    assert post.column("SELECT attempts FROM events.attempts") == [0]
    to_the_end(post, positions)
    assert sorted(one.recipient for one in mailer.accepted) == sorted({one.recipient for one in mailer.accepted})
    assert len(mailer.accepted) == 40
    assert 8 < mailer.most_concurrent <= 16
    assert post.letters() == []


def test_between_two_slices_people_come_go_and_change_their_minds_and_each_is_told_once_at_most(
    post: Post, mailer: SendGrid
) -> None:
    followed_by(post, range(600))
    followed_by(post, [700], address=False)
    mailer.always = Behaviour(slow=0.1)
    positions = post.known(update)
    post.run(Short, positions)
    mailer.always = Behaviour()
    assert post.column(AFTER) == [user(249)], "the first part is planned, and the others are not"
    planned, later = user(200), user(400)
    for one in (planned, later):
        post.sql("INSERT INTO app.preferences VALUES (%s, 'updates', 'email', false)", one)
    post.sql("UPDATE app.follows SET follows = false WHERE follower_id = %s", user(500))
    post.sql("UPDATE app.contacts SET email = 'new@example.org' WHERE user_id = ANY (%s)", [user(201), user(700)])
    followed_by(post, [800])
    to_the_end(post, positions)
    gone = {planned, later, user(500)}
    assert post.column(TOLD) == [one for one in map(user, [*range(600), 700, 800]) if one not in gone]
    assert len(mailer.accepted) == 599
    assert sum(one.recipient == "new@example.org" for one in mailer.accepted) == 2
    reasons = "SELECT user_id, reason FROM app.notifications WHERE state = 'skipped'"
    assert post.rows(reasons) == [(planned, "opted out")]
    assert post.column(SKIPPED) == [{"opted out": 1}]


def test_an_update_that_is_withdrawn_half_way_is_told_to_nobody_else(post: Post, mailer: SendGrid) -> None:
    followed_by(post, range(300))
    mailer.always = Behaviour(slow=0.1)
    positions = post.known(update)
    post.run(Short, positions)
    post.known(ProjectUpdateDeleted(update_id=NEWS, fundraiser_id=WELLS, author_id=ME))
    sent = len(mailer.accepted)
    to_the_end(post, positions)
    assert len(mailer.accepted) == sent
    assert {one.reason for one in post.entries("project_update") if one.state == "skipped"} == {"withdrawn"}


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


def to_the_end_of(post: Post, positions: list[int]) -> None:
    """Slices until this event is claimed, beside others."""

    def claimed() -> bool:
        due_now(post)
        mailed(post, positions)
        return set(positions) <= set(post.claims(EmailBroadcastProcessor))

    wait_until(claimed, what="the claim")


def test_three_workers_with_the_same_event_tell_each_follower_once(post: Post, mailer: SendGrid) -> None:
    followed_by(post, range(300))
    positions = post.known(update)
    ready = threading.Barrier(3)

    def run() -> None:
        ready.wait(30)
        mailed(post, positions)

    with ThreadPoolExecutor(3) as pool:
        for future in [pool.submit(run) for _ in range(3)]:
            future.result(60)
    to_the_end(post, positions)
    assert len(mailer.accepted) == 300
    assert len({one.recipient for one in mailer.accepted}) == 300


def test_devices_are_told_and_one_that_is_gone_holds_nobody_up(post: Post, pusher: Fcm) -> None:
    followed_by(post, range(20))
    post.sql("INSERT INTO app.devices (user_id, token) SELECT user_id, user_id || suffix FROM app.contacts,"
             " unnest(ARRAY['a', 'b']) AS suffix WHERE user_id <> %s", ME)  # fmt: skip
    pusher.behave(Behaviour(status=404, code="UNREGISTERED"))
    positions = post.known(update)
    assert post.run(PushBroadcastProcessor, positions).outcomes == {"done": 1}
    assert post.rows(COUNTS) == [("sent", 39), ("skipped", 1)]
    assert len(pusher.accepted) == 39


def test_a_device_that_is_gone_before_its_message_was_sent_leaves_no_open_row(post: Post, pusher: Fcm) -> None:
    followed_by(post, range(2))
    post.sql("INSERT INTO app.devices (user_id, token) SELECT user_id, 'of ' || user_id FROM app.contacts"
             " WHERE user_id <> %s", ME)  # fmt: skip
    pusher.always = Behaviour(status=503)
    positions = post.known(update)
    assert post.run(PushBroadcastProcessor, positions).outcomes == {"snoozed": 1}
    pusher.always = Behaviour()
    post.sql("UPDATE app.devices SET gone_at = now() WHERE user_id = %s", user(0))
    due_now(post)
    assert post.run(PushBroadcastProcessor, positions).outcomes == {"done": 1}
    assert post.rows(COUNTS) == [("sent", 1), ("skipped", 1)]
    assert [one.reason for one in post.entries("project_update") if one.state == "skipped"] == ["no device"]


def test_what_a_release_before_has_begun_is_told_to_the_end(post: Post, mailer: SendGrid) -> None:
    """It had no row for a broadcast, and wrote all of its recipients down."""
    followed_by(post, range(30))
    positions = post.known(update)
    to_the_end(post, positions)
    post.sql("DELETE FROM app.broadcasts")
    post.sql("DELETE FROM app.processed_events WHERE processor = 'email_broadcast'")
    post.sql("DELETE FROM app.notifications WHERE user_id > %s", user(9))
    mailer.accepted.clear()
    assert mailed(post, positions).outcomes == {"done": 1}
    assert len(mailer.accepted) == 20
    assert post.column("SELECT told FROM app.broadcasts") == [30]


def test_an_update_that_a_relay_of_the_release_before_has_routed_is_told_too_and_once(
    post: Post, mailer: SendGrid
) -> None:
    followed_by(post, range(30))
    positions = post.known(update)
    assert execute(EmailNotificationProcessor, positions, due=True).outcomes == {"done": 1}
    assert len(mailer.accepted) == 30
    assert mailed(post, positions).outcomes == {"done": 1}, "should the sweep send it to its new processor as well"
    assert len(mailer.accepted) == 30


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
