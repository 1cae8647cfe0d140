"""A message waits for what stands in the log before its event, and for nothing that the log has not got."""

from __future__ import annotations

from uuid import UUID

import pytest

from fundlyhub import UserFollowedUser
from fundlyhub.events.catalogue.project import ProjectUpdateCreated
from fundlyhub.processors.notifications import (
    EmailBroadcastProcessor,
    EmailNotificationProcessor,
    PushNotificationProcessor,
)
from fundlyhub.processors.writes import RecipientWriteProcessor, ReferenceWriteProcessor, SubscriptionWriteProcessor
from fundlyhub.testing.providers import SendGrid
from tests.notifications.occasions import update
from tests.notifications.post import JOHN, MARY, ME, Post, registered
from tests.notifications.test_sending import mailed
from tests.support.make import campaign, completed, refunded

TREES, GIFT = UUID(int=12), UUID(int=92)
NEW = campaign(TREES, user_id=MARY, title="Trees", slug="trees")


def told(mailer: SendGrid) -> list[str]:
    """The texts of the mails that went out."""
    return ["".join(part["value"] for part in one.body["content"]) for one in mailer.accepted]


def test_ten_receipts_of_one_backlog_name_the_campaign_that_was_created_before_them(
    post: Post, mailer: SendGrid
) -> None:
    gifts = [completed(TREES, donation_id=UUID(int=300 + n), donor_id=ME) for n in range(10)]
    created, *positions = post.publish(NEW, *gifts)
    post.run(RecipientWriteProcessor, positions)
    assert mailed(post, positions).outcomes == {"snoozed": 10}
    assert mailer.requests == 0
    post.run(ReferenceWriteProcessor, [created])
    assert mailed(post, positions).outcomes == {"snoozed": 10}, "the owner is not known yet"
    assert all("Trees" in text for text in told(mailer))
    assert len(told(mailer)) == 10


def test_a_receipt_waits_neither_for_a_campaign_that_the_log_has_not_got_nor_for_one_that_comes_later(
    post: Post, mailer: SendGrid
) -> None:
    positions = post.publish(completed(TREES, donor_id=ME))
    post.publish(NEW)
    mailed(post, positions)
    assert post.states("donation_receipt") == {"email": "sent"}


def test_it_does_not_wait_for_a_campaign_that_is_a_dead_letter(post: Post) -> None:
    created, gift = post.publish(NEW, completed(TREES, donor_id=ME))
    post.sql(
        "INSERT INTO events.dead_letters (processor, position, event_id, type, error_class, error_message, traceback,"
        " fingerprint, attempts, first_failed_at, last_failed_at) SELECT 'reference_write', position, id, type, 'E',"
        " '', '', 'print', 1, now(), now() FROM events.events WHERE position = %s", created,
    )  # fmt: skip
    mailed(post, [gift])
    assert post.states("donation_receipt") == {"email": "sent"}


def test_its_patience_ends(post: Post) -> None:
    _, gift = post.publish(NEW, completed(TREES, donor_id=ME))
    mailed(post, [gift])
    assert post.entries("donation_receipt") == []
    post.sql("UPDATE events.attempts SET first_seen = now() - interval '7 hours'")
    mailed(post, [gift])
    assert post.states("donation_receipt") == {"email": "sent"}


def test_a_receipt_that_was_planned_before_waits_no_more(post: Post, mailer: SendGrid) -> None:
    gift = post.publish(completed(TREES, donor_id=ME))
    mailed(post, gift)
    post.sql("UPDATE app.notifications SET state = 'queued', not_before = NULL")
    post.publish(NEW)
    mailed(post, gift)
    assert post.states("donation_receipt") == {"email": "sent"}


@pytest.mark.parametrize("kind", ["refund", "update", "follower"])
def test_so_do_refunds_updates_and_news_of_followers(post: Post, mailer: SendGrid, kind: str) -> None:
    post.people(MARY)
    post.sql("INSERT INTO app.preferences VALUES (%s, 'social', 'email', true)", ME)
    if kind == "follower":
        signed_up, position = post.publish(registered(JOHN), UserFollowedUser(follower_id=JOHN, followed_user_id=ME))
        first = signed_up
    elif kind == "refund":
        first, gift, position = post.publish(
            NEW, completed(TREES, donation_id=GIFT, donor_id=ME), refunded(GIFT, "4.00")
        )
        post.run(RecipientWriteProcessor, [gift, position])
    else:
        post.sql("INSERT INTO app.follows VALUES (%s, 'campaign', %s, now(), 1, true)", ME, TREES)
        told_of: ProjectUpdateCreated = update.model_copy(update={"fundraiser_id": TREES})
        first, position = post.publish(NEW, told_of)
    teller = EmailBroadcastProcessor if kind == "update" else EmailNotificationProcessor
    assert post.run(teller, [position]).outcomes == {"snoozed": 1}
    post.run(ReferenceWriteProcessor, [first])
    post.run(SubscriptionWriteProcessor, [first])
    assert post.run(teller, [position]).outcomes == {"done": 1}
    assert ("User 2" if kind == "follower" else "Trees") in told(mailer)[-1]


def test_somebody_who_does_not_want_to_be_seen_is_not_waited_for(post: Post) -> None:
    post.people(JOHN)
    post.sql("UPDATE app.entities SET shown = false WHERE id = %s", JOHN)
    follow = post.publish(UserFollowedUser(follower_id=JOHN, followed_user_id=ME))
    assert post.run(PushNotificationProcessor, follow).outcomes == {"done": 1}
    assert post.run(EmailNotificationProcessor, follow).outcomes == {"done": 1}
