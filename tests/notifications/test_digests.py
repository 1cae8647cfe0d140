"""What the hourly limit holds back is told once, in one message that counts and sums and names nobody."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from fundlyhub import UserFollowedUser
from fundlyhub.database import get_engine
from fundlyhub.events.catalogue.admin import AdminUserDeleted
from fundlyhub.events.catalogue.project import ProjectUpdateCreated
from fundlyhub.processors.notifications import EmailNotificationProcessor, PushNotificationProcessor
from fundlyhub.processors.notifications.digests.sending import are_due
from fundlyhub.processors.notifications.policy import GATHERED
from fundlyhub.testing.providers import Behaviour, SendGrid
from tests.notifications.gathering import MEMBERS, ROWS, SCHOOL, SETTLED, due, gifts, outbox, owner_states, sweep
from tests.notifications.occasions import ONES, suspended
from tests.notifications.post import JOHN, ME, WELLS, Post, quiet
from tests.support.make import campaign


def test_of_25_gifts_20_are_told_by_mail_and_five_in_one_digest_with_their_sums(post: Post) -> None:
    post.known(campaign(SCHOOL, user_id=ME, title="School", slug="school"))
    positions = post.tell(
        *gifts(22, amount=Decimal("5.50")),
        *gifts(2, 2_000, amount=Decimal(7), currency="USD"),
        *gifts(1, 3_000, campaign_id=SCHOOL, amount=Decimal(100)),
    )
    assert owner_states(post) == [GATHERED] * 5 + ["sent"] * 20
    assert post.claims(EmailNotificationProcessor) == positions, "no event waits for a digest"
    assert not EmailNotificationProcessor.has_more(), "its hour is not over"
    due(post)
    assert EmailNotificationProcessor.has_more()
    before = len(outbox())
    sweep()
    assert post.rows(ROWS) == [("sent", None)]
    (told,) = outbox()[before:]
    assert told.startswith("5 more gifts for your campaigns\n")
    assert "Wells: 2 gifts, €11.00; Wells: 2 gifts, $14.00; School: 1 gift, €100.00." in told
    assert not EmailNotificationProcessor.has_more()
    assert post.column(SETTLED) == [True]


def test_a_digest_of_one_campaign_and_currency_says_so_in_its_subject(post: Post) -> None:
    post.tell(*gifts(25, amount=Decimal("5.50")))
    due(post)
    sweep()
    assert outbox()[-1].startswith("5 more gifts (€27.50) for Wells\n")


@pytest.mark.parametrize("anonymous", [True, False, None])
def test_a_digest_names_nobody(post: Post, anonymous: bool | None) -> None:
    post.people(JOHN)
    post.tell(*gifts(22, donor_id=JOHN, donor_email=None, donor_name="Zebulon Quick", is_anonymous=anonymous))
    due(post)
    sweep()
    told = outbox()[-1]
    assert told.startswith("2 more gifts")
    assert "User 3" not in told and "User 2" not in told and "Zebulon" not in told
    stored = str(post.rows("SELECT * FROM app.digest_members"))
    assert str(JOHN) not in stored and "Zebulon" not in stored


def test_followers_are_counted_and_each_kind_has_a_digest_of_its_own(post: Post) -> None:
    post.sql(
        "INSERT INTO app.preferences (user_id, category, channel, wanted) VALUES (%s, 'social', 'email', true)", ME
    )
    post.tell(
        *(UserFollowedUser(follower_id=UUID(int=500 + n), followed_user_id=ME) for n in range(23)), *gifts(2, 9_000)
    )
    due(post)
    sweep()
    first, second = sorted(one.split("\n")[0] for one in outbox()[-2:])
    assert first.startswith("2 more gifts")
    assert second == "You have 3 more followers"
    assert post.rows(ROWS) == [("sent", None)] * 2


def opt_out(post: Post) -> None:
    post.sql(
        "INSERT INTO app.preferences (user_id, category, channel, wanted) VALUES (%s, 'donations', 'email', false)", ME
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (opt_out, "opted out"),
        (lambda post: post.known(suspended(ME)), "account suspended"),
        (lambda post: post.known(AdminUserDeleted(user_id=ME, deleted_by=JOHN)), "account deleted"),
        (lambda post: post.sql("UPDATE app.contacts SET email = NULL"), "no address"),
    ],
)
@pytest.mark.parametrize("written_down", [False, True])
def test_a_recipient_is_judged_again_when_the_digest_is_told(
    post: Post, mailer: SendGrid, change: Any, reason: str, written_down: bool
) -> None:
    post.tell(*gifts(23))
    if written_down:
        mailer.always = Behaviour(status=503)
        due(post)
        sweep()
        mailer.always = Behaviour()
        post.sql("UPDATE app.notifications SET not_before = now() WHERE state = 'queued'")
    sent = mailer.requests
    change(post)
    due(post)
    sweep()
    assert post.rows(ROWS) == [("skipped", reason)]
    assert mailer.requests == sent
    assert post.column(SETTLED) == [True]


def test_a_provider_that_fails_is_asked_again_later_and_the_digest_says_the_same(post: Post, mailer: SendGrid) -> None:
    post.tell(*gifts(23))
    mailer.always = Behaviour(status=503)
    due(post)
    sweep()
    assert post.column("SELECT state FROM app.notifications WHERE template LIKE '%%digest'") == ["queued"]
    assert not EmailNotificationProcessor.has_more(), "it waits"
    post.tell(*gifts(2, 5_000))
    mailer.always = Behaviour()
    post.sql("UPDATE app.notifications SET not_before = now() WHERE template LIKE '%%digest'")
    post.sql("UPDATE app.digests SET due_at = now() WHERE closed_at IS NOT NULL")
    sweep()
    assert "3 more gifts" in str(mailer.accepted[-1].body)
    assert post.column(SETTLED) == [True, False]


def test_quiet_hours_hold_a_push_digest_open_and_each_device_gets_it_once(post: Post) -> None:
    post.sql("INSERT INTO app.devices (user_id, token) VALUES (%s, 'tablet')", ME)
    post.tell(*gifts(33))
    held = owner_states(post, "push").count(GATHERED)
    assert held > 0
    post.sql("UPDATE app.contacts SET quiet_from = %s, quiet_until = %s", *quiet(hours=0))
    due(post)
    sweep(PushNotificationProcessor)
    assert post.rows(ROWS) == []
    assert not PushNotificationProcessor.has_more()
    post.sql("UPDATE app.contacts SET quiet_from = %s, quiet_until = %s", *quiet(hours=6))
    due(post)
    sweep(PushNotificationProcessor)
    assert post.rows(ROWS) == [("sent", None)] * 2
    matters = "SELECT count(DISTINCT matter)::int FROM app.notifications WHERE channel = 'push' AND reason = %s"
    (number,) = post.column(matters, GATHERED)
    assert f"{number} more gifts" in outbox("push")[-1]


def test_updates_to_a_follower_are_gathered_too(post: Post) -> None:
    post.people(JOHN)
    post.sql("INSERT INTO app.follows SELECT %s, 'campaign', %s, now(), 1, true", JOHN, WELLS)
    update: Any = ONES["project_update"]
    assert isinstance(update, ProjectUpdateCreated)
    post.tell(*(update.model_copy(update={"update_id": UUID(int=700 + n)}) for n in range(22)))
    due(post)
    sweep()
    assert outbox()[-1].startswith("2 more updates of Wells\n")


@hypothesis_settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.integers(1, 12), min_size=1, max_size=6), told_after=st.integers(0, 6), seed=st.integers(0))
def test_every_gift_is_told_by_itself_or_in_one_digest(
    post: Post, batches: list[int], told_after: int, seed: int
) -> None:
    post.sql("TRUNCATE app.notifications, app.digests, app.digest_members")
    first = seed % 10_000 * 1_000 + 1_000_000
    for number, size in enumerate(batches):
        positions = post.known(*gifts(size, first + 100 * number))
        post.run(EmailNotificationProcessor, positions)
        if number == told_after:
            due(post)
            sweep()
    due(post)
    sweep()
    total = sum(batches)
    assert owner_states(post) == sorted(["sent"] * min(20, total) + [GATHERED] * max(0, total - 20))
    (members,) = post.column(MEMBERS)
    assert members == max(0, total - 20)
    told = " JOIN app.digests AS digest ON digest.id = digest_id WHERE settled_at IS NOT NULL"
    assert post.column(MEMBERS + told) == [members]
    assert [row[0] for row in post.rows(ROWS)] == ["sent"] * len(post.column(SETTLED))


def test_nothing_is_due_where_there_is_none(post: Post) -> None:
    with get_engine("app").connect() as db:
        assert not are_due(db, "email")
