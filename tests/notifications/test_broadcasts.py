"""Messages to many: in slices that go on from the database, each follower once, and no row for whom nothing is sent."""

from __future__ import annotations

import pytest

from fundlyhub.events.catalogue.project import ProjectUpdateDeleted
from fundlyhub.processing.executor import execute
from fundlyhub.processors.notifications import (
    EmailBroadcastProcessor,
    EmailNotificationProcessor,
    PushBroadcastProcessor,
)
from fundlyhub.processors.shared.address_hashes import address_hash
from fundlyhub.settings import get_settings
from fundlyhub.testing.providers import Behaviour, Fcm, SendGrid
from tests.notifications.followers import (
    AFTER,
    COUNTS,
    SKIPPED,
    TOLD,
    Short,
    followed_by,
    mailed,
    to_the_end,
    user,
)
from tests.notifications.occasions import NEWS, update
from tests.notifications.post import ME, WELLS, Post
from tests.notifications.test_sending import due_now


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


@pytest.mark.chaos  # for its length
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
    assert execute(EmailNotificationProcessor, positions, ends_wait=True).outcomes == {"done": 1}
    assert len(mailer.accepted) == 30
    assert mailed(post, positions).outcomes == {"done": 1}, "should the sweep send it to its new processor as well"
    assert len(mailer.accepted) == 30
