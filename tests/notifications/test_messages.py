"""Who is told what: each message of the table, through each of its channels."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from email import message_from_bytes, policy
from typing import Any
from uuid import UUID

import pytest

from fundlyhub import Event, Payload, UserFollowedCampaign, UserFollowedUser
from fundlyhub.database import get_engine
from fundlyhub.events.catalogue.admin import (
    AdminUserDeleted,
)
from fundlyhub.events.catalogue.campaign import CampaignGoalReached
from fundlyhub.events.catalogue.project import ProjectUpdateDeleted
from fundlyhub.events.catalogue.user import UserLoggedIn
from fundlyhub.processors.notifications import EmailNotificationProcessor, PushNotificationProcessor, catalogue
from fundlyhub.processors.notifications.planning.content import content_of
from fundlyhub.processors.notifications.planning.lookup import Lookup
from fundlyhub.processors.notifications.policy import GATHERED
from fundlyhub.processors.notifications.rendering.template_values import Facts, Money
from fundlyhub.settings import get_settings
from tests.notifications.occasions import ADMIN, GIFT, NEWS, NOW, ONES, suspended, update
from tests.notifications.post import JOHN, MARY, ME, TELLING, WELLS, Post, quiet, registered
from tests.support.make import completed, refunded


@pytest.mark.parametrize("message", [notice.template for notice in catalogue.NOTICES])
def test_each_message_goes_out_through_each_of_its_channels_once(full: Post, message: str) -> None:
    notice = catalogue.BY_TEMPLATE[message]
    positions = full.tell(ONES[message])
    usual = dict.fromkeys(notice.channels, "sent")
    if message == "new_follower":
        usual["email"] = "opted out"  # what those get who have not asked for it
    assert full.states(message) == usual
    before = full.entries()
    for processor in TELLING:
        assert full.run(processor, positions).outcomes.keys() <= {"skipped"}
    assert full.entries() == before
    assert full.letters() == []


@pytest.mark.parametrize("message", [notice.template for notice in catalogue.NOTICES])
def test_each_story_tells_just_the_facts_of_the_table(full: Post, message: str) -> None:
    assert facts(full, message, ONES[message]).keys() == set(catalogue.BY_TEMPLATE[message].facts)


def facts(post: Post, template: str, payload: Payload) -> Facts:
    """What a message of this event would be told."""
    position = post.known(payload)[0]
    event_id, at = post.rows("SELECT id, occurred_at FROM events.events WHERE position = %s", position)[0]
    event = Event.of(payload, id=event_id, timestamp=at).model_copy(update={"position": position})
    with get_engine("app").begin() as db:
        return content_of(template, event, Lookup(db, "https://site.example"))[0]


@pytest.mark.parametrize(("anonymous", "named"), [(None, False), (True, False), (False, True)])
def test_a_donor_is_named_to_the_owner_only_when_somebody_said_that_he_may_be(
    full: Post, anonymous: bool | None, named: bool
) -> None:
    gift = completed(WELLS, donation_id=UUID(int=77), donor_id=JOHN, is_anonymous=anonymous, donor_name="J. Smith")
    assert facts(full, "new_donation", gift)["donor"] == ("User 2" if named else None)


def test_a_refund_is_told_in_the_money_of_the_gift(full: Post) -> None:
    told = facts(full, "refund", refunded(GIFT, "4.00"))
    assert (told["amount"], told["given"]) == (Money(Decimal(4), "USD"), Money(Decimal(25), "USD"))


def test_a_guest_gets_his_receipt_and_his_refund_at_the_address_of_the_payment(post: Post) -> None:
    post.tell(
        completed(WELLS, donation_id=GIFT, donor_id=None, donor_email="guest@example.org"), refunded(GIFT, "1.00")
    )
    entries = [one for one in post.entries() if one.template in ("donation_receipt", "refund")]
    assert [one.state for one in entries] == ["sent", "sent"]
    assert len({one.recipient for one in entries}) == 1
    assert "guest" not in entries[0].recipient


def test_a_sign_in_from_where_one_was_before_tells_nothing(full: Post) -> None:
    known = UserLoggedIn(user_id=ME, ip_address="198.51.100.99", user_agent="Safari", timestamp=NOW)
    full.tell(known)
    assert {one.reason for one in full.entries("new_sign_in")} == {"known place"}


def test_the_first_sign_in_of_all_tells_nothing(post: Post) -> None:
    post.tell(UserLoggedIn(user_id=ME, ip_address="198.51.100.99", user_agent="Safari", timestamp=NOW))
    assert {one.reason for one in post.entries("new_sign_in")} == {"known place"}


def test_followers_hear_of_an_update_once_and_nobody_else_does(full: Post) -> None:
    full.tell(update)
    assert {one.recipient for one in full.entries("project_update") if one.channel == "email"} == {str(JOHN)}


def test_an_update_for_donors_goes_to_those_followers_who_gave(full: Post) -> None:
    full.known(
        UserFollowedCampaign(user_id=MARY, campaign_id=WELLS, follow_type="user"),
        completed(WELLS, donation_id=UUID(int=78), donor_id=MARY),
    )
    full.tell(update.model_copy(update={"visibility": "donors_only"}))
    assert {one.recipient for one in full.entries("project_update") if one.channel == "email"} == {str(MARY)}


def test_an_update_that_is_deleted_by_then_is_not_told(full: Post) -> None:
    full.known(ProjectUpdateDeleted(update_id=NEWS, fundraiser_id=WELLS, author_id=ME))
    full.tell(update)
    assert {one.reason for one in full.entries("project_update")} == {"withdrawn"}


def test_an_updates_html_is_mailed_as_text_and_its_title_as_it_is(full: Post) -> None:
    body = "<style>p{}</style><p>On <b>Mon</b>day we reached&nbsp;water &amp; more.</p><script>x()</script><p>Come!</p>"
    title = "=?utf-8?q?News=0D=0AReply-To=3A_eve=40evil.example?="
    full.tell(update.model_copy(update={"body": body, "title": title}))
    (mail,) = [
        mail
        for path in (get_settings().data_dir / "outbox" / "email").glob("*.eml")
        if "Wells: " in (mail := message_from_bytes(path.read_bytes(), policy=policy.default))["Subject"]
    ]
    assert mail["Subject"] == f"Wells: {title}"
    assert mail["Reply-To"] is None
    for kind in ("plain", "html"):
        part = mail.get_body((kind,))
        assert part is not None
        assert "On Monday we reached water &amp; more. Come!".replace("&amp;", "&" if kind == "plain" else "&amp;") in (
            part.get_content()
        )
        assert "&lt;" not in part.get_content()


def opt_out(post: Post) -> None:
    post.sql("INSERT INTO app.preferences VALUES (%s, 'donations', 'email', false)", ME)


def opt_out_of_all(post: Post) -> None:
    post.sql("INSERT INTO app.preferences VALUES (%s, '*', 'email', false)", ME)


def be_suspended(post: Post) -> None:
    post.known(suspended(ME))


def be_deleted(post: Post) -> None:
    post.known(AdminUserDeleted(user_id=ME, deleted_by=ADMIN))


def lose_address(post: Post) -> None:
    post.sql("UPDATE app.contacts SET email = NULL")


@pytest.mark.parametrize(
    ("change", "reason", "receipt"),
    [
        (opt_out, "opted out", "sent"),
        (opt_out_of_all, "opted out", "sent"),
        (be_suspended, "account suspended", "sent"),
        (be_deleted, "account deleted", "account deleted"),
        (lose_address, "no address", "no address"),
    ],
)
def test_what_is_not_sent_is_skipped_with_its_reason_and_receipts_go_all_the_same(
    post: Post, change: Callable[[Post], None], reason: str, receipt: str
) -> None:
    change(post)
    gift: Any = {"donation_id": GIFT}
    positions = post.tell(
        completed(WELLS, **gift, donor_id=JOHN), completed(WELLS, donation_id=UUID(int=79), donor_id=ME)
    )
    assert post.states("new_donation")["email"] in (reason, "own donation")
    assert reason in {one.reason for one in post.entries("new_donation")}
    mine = [one for one in post.entries("donation_receipt") if one.recipient == str(ME)]
    assert [one.reason or one.state for one in mine] == [receipt]
    assert post.claims(EmailNotificationProcessor) == positions[1:]  # the first one's donor is not known yet
    assert post.letters() == []


def test_twenty_mails_an_hour_are_enough_and_receipts_do_not_count(post: Post) -> None:
    post.people(JOHN)
    post.tell(*(completed(WELLS, donation_id=UUID(int=1_000 + n), donor_id=JOHN) for n in range(25)))
    mails = [one for one in post.entries() if one.channel == "email"]
    assert [one.state for one in mails if one.template == "donation_receipt"] == ["sent"] * 25
    owner = [one.reason or one.state for one in mails if one.template == "new_donation"]
    assert sorted(owner) == [GATHERED] * 5 + ["sent"] * 20


def test_a_donor_that_is_not_known_yet_is_waited_for(post: Post) -> None:
    positions = post.tell(completed(WELLS, donation_id=GIFT, donor_id=JOHN))
    assert post.entries("donation_receipt") == []
    assert post.claims(EmailNotificationProcessor) == []
    post.people(JOHN)
    post.run(EmailNotificationProcessor, positions)
    assert post.states("donation_receipt") == {"email": "sent"}
    assert post.states("new_donation")["email"] == "sent"
    assert post.claims(EmailNotificationProcessor) == positions


def test_a_donor_who_never_comes_is_a_dead_letter_and_is_told_once_he_is_there(post: Post) -> None:
    positions = post.tell(completed(WELLS, donation_id=GIFT, donor_id=JOHN))
    post.sql("UPDATE events.attempts SET first_seen = now() - interval '7 hours'")
    post.run(EmailNotificationProcessor, positions)
    assert post.letters() == [("email_notification", "Untold", "donation_receipt: unknown recipient")]
    assert post.states("new_donation")["email"] == "sent", "the owner was told all the same"
    assert post.claims(EmailNotificationProcessor) == []
    post.people(JOHN)
    post.sql("UPDATE events.dead_letters SET state = 'replayed'")
    assert post.run(EmailNotificationProcessor, positions).outcomes == {"done": 1}
    assert post.states("donation_receipt") == {"email": "sent"}


def test_a_message_that_may_be_declined_is_given_up_after_hours_and_stands_in_the_ledger(post: Post) -> None:
    goal = CampaignGoalReached(campaign_id=UUID(int=12), goal_amount=Decimal(1), total_raised=Decimal(2), donor_count=1)
    positions = post.tell(goal)
    post.sql("UPDATE events.attempts SET first_seen = now() - interval '7 hours'")
    post.run(EmailNotificationProcessor, positions)
    assert post.states("goal_reached") == {"email": "unknown campaign"}
    assert post.claims(EmailNotificationProcessor) == positions


def test_a_reached_goal_is_told_however_many_gifts_were_told_before_and_does_not_count(post: Post) -> None:
    gifts = [completed(WELLS, donation_id=UUID(int=1_000 + n), donor_id=None) for n in range(25)]
    post.tell(*gifts[:19], ONES["goal_reached"], *gifts[19:])
    assert post.states("goal_reached") == {"email": "sent", "push": "sent"}
    post.tell(ONES["goal_reached"].model_copy(update={"goal_amount": Decimal(20)}))
    assert [one.state for one in post.entries("goal_reached")] == ["sent"] * 4
    mails = [one.reason or one.state for one in post.entries("new_donation") if one.channel == "email"]
    assert sorted(mails) == [GATHERED] * 5 + ["sent"] * 20


def test_quiet_hours_hold_a_push_message_back_and_no_mail_and_nothing_urgent(full: Post) -> None:
    full.sql("UPDATE app.contacts SET quiet_from = %s, quiet_until = %s", *quiet(hours=0))
    positions = full.tell(completed(WELLS, donation_id=UUID(int=80), donor_id=JOHN), ONES["new_sign_in"])
    assert full.states("new_donation") == {"email": "sent", "push": "queued"}
    assert full.states("new_sign_in") == {"email": "sent", "push": "sent", "sms": "sent"}
    waits = full.rows("SELECT extract(epoch FROM next_at - now()) FROM events.attempts")
    assert 0 < waits[0][0] <= 3600
    full.sql("UPDATE app.notifications SET not_before = now()")
    full.run(PushNotificationProcessor, positions)
    assert full.states("new_donation") == {"email": "sent", "push": "sent"}


def test_the_api_may_know_a_phone_before_anybody_knows_the_user(post: Post) -> None:
    contact = "INSERT INTO app.contacts (user_id, phone, quiet_from, quiet_until) VALUES (%s, '+12025550199', %s, %s)"
    post.sql(contact, JOHN, *quiet(hours=6))  # awake whatever the time is
    follow = post.publish(UserFollowedUser(follower_id=ME, followed_user_id=JOHN))
    assert post.run(PushNotificationProcessor, follow).outcomes == {"snoozed": 1}, "he may have a device by then"
    signed_up = post.publish(registered(JOHN))
    assert post.run(EmailNotificationProcessor, signed_up).outcomes == {"done": 1}
    assert post.states("welcome") == {"email": "sent"}, "the registration itself tells the address"
    post.sql("INSERT INTO app.devices (user_id, token) VALUES (%s, 'of-john')", JOHN)
    post.known(registered(JOHN))
    assert post.run(PushNotificationProcessor, follow).outcomes == {"done": 1}
    assert post.states("new_follower") == {"push": "sent"}
