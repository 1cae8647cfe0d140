"""Nobody is told twice: a message is about a matter, whatever number of events speak of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from fundlyhub import Event, Payload, UserFollowedCampaign, UserFollowedUser
from fundlyhub.events.catalogue.campaign import CampaignGoalReached
from fundlyhub.processors.notifications import EmailBroadcastProcessor, EmailNotificationProcessor
from fundlyhub.processors.notifications.catalogue import BY_TEMPLATE, NOTICES
from fundlyhub.processors.notifications.ledger.matters import EVENT, ledger_id, matter_of
from fundlyhub.testing.providers import Behaviour, SendGrid
from tests.notifications.occasions import GIFT, ONES, suspended, update
from tests.notifications.post import JOHN, MARY, ME, TELLING, WELLS, Post
from tests.notifications.test_sending import RESET, due_now, mailed, receipt, replay
from tests.support import ROOT
from tests.support.make import completed, refunded

ABOUT_MORE_THAN_AN_EVENT = [notice.template for notice in NOTICES if notice.matter != (EVENT,)]
REFUND = refunded(GIFT, "4.00", refund_transaction_id="re_1")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def once(template: str) -> dict[str, str]:
    """How the copies of a message stand when they went out once."""
    usual: dict[str, str] = dict.fromkeys(BY_TEMPLATE[template].channels, "sent")
    return {**usual, "email": "opted out"} if template == "new_follower" else usual


def copies(post: Post, template: str) -> list[tuple[str, str]]:
    """Channel and state of each row of a message, or why it was skipped."""
    return [(one.channel, one.reason or one.state) for one in post.entries(template)]


@pytest.mark.parametrize("apart", [False, True], ids=["in one batch", "one after the other"])
@pytest.mark.parametrize("message", ABOUT_MORE_THAN_AN_EVENT)
def test_three_events_of_one_matter_are_told_once(full: Post, message: str, apart: bool) -> None:
    one = ONES[message]
    positions = [at for batch in ([one],) * 3 for at in full.tell(*batch)] if apart else full.tell(one, one, one)
    assert sorted(copies(full, message)) == sorted(once(message).items())
    assert full.letters() == []
    for processor in TELLING:
        assert full.run(processor, positions).outcomes.keys() <= {"skipped"}, "all of them are done with"


def test_two_workers_that_plan_one_matter_at_the_same_moment_tell_it_once(post: Post, mailer: SendGrid) -> None:
    guests = [
        completed(WELLS, donation_id=UUID(int=300 + n), donor_id=None, donor_email=f"g{n}@example.org")
        for n in range(20)
    ]
    first, second = post.known(*guests), post.known(*reversed([one.model_copy() for one in guests]))
    ready = threading.Barrier(4)

    def run(batch: list[int]) -> Any:
        ready.wait(30)
        return mailed(post, batch).outcomes

    with ThreadPoolExecutor(4) as pool:
        for run_ in [pool.submit(run, batch) for batch in (first, second, first, second)]:
            run_.result(60)
    post.sql("UPDATE events.attempts SET next_at = now()")
    due_now(post)
    for batch in (first, second):
        mailed(post, batch)
    assert post.claims(EmailNotificationProcessor) == [*first, *second]
    assert sorted(copies(post, "donation_receipt")) == [("email", "sent")] * 20
    assert len([one for one in mailer.accepted if one.recipient.endswith("@example.org")]) == len(mailer.accepted)
    assert len({one.recipient for one in mailer.accepted if one.recipient.startswith("g")}) == 20
    assert len([one for one in mailer.accepted if one.recipient.startswith("g")]) == 20


def test_an_event_whose_matter_another_one_is_sending_is_done_and_leaves_that_to_it(
    post: Post, mailer: SendGrid
) -> None:
    mailer.behave(RESET)
    first, second = receipt(post), receipt(post)
    assert mailed(post, first).outcomes == {"dead": 1}
    assert mailed(post, second).outcomes == {"done": 1}, "one dead letter is enough"
    assert len(mailer.accepted) == 1
    replay(post, first)
    assert mailed(post, first).outcomes == {"done": 1}
    assert len(mailer.accepted) == 2
    assert len(post.letters()) == 1


def test_a_worker_that_dies_with_a_planned_message_is_followed_by_its_own_event(post: Post, mailer: SendGrid) -> None:
    first, second = receipt(post), receipt(post)
    command = [sys.executable, "-m", "tests.notifications.send_and_die", "before the row is taken", str(first[0])]
    killed = subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert post.states("donation_receipt") == {"email": "queued"}
    assert mailed(post, second).outcomes == {"done": 1}
    assert len(mailer.accepted) == 0
    assert mailed(post, first).outcomes == {"done": 1}
    assert len(mailer.accepted) == 1


def test_a_second_event_tells_those_whom_the_first_could_not_reach(post: Post) -> None:
    """The API's event has no address of a guest; the payment webhook's has."""
    post.tell(completed(WELLS, donation_id=GIFT, donor_id=None))
    assert post.states("donation_receipt") == {"email": "no address"}
    post.tell(completed(WELLS, donation_id=GIFT, donor_id=None, donor_email="guest@example.org"))
    post.tell(completed(WELLS, donation_id=GIFT, donor_id=None, donor_email="guest@example.org"))
    assert copies(post, "donation_receipt").count(("email", "sent")) == 1


def test_a_device_or_a_follower_that_came_meanwhile_hears_nothing_of_an_old_matter(full: Post) -> None:
    gift = completed(WELLS, donation_id=UUID(int=77), donor_id=JOHN)
    full.tell(gift, update)
    full.sql("INSERT INTO app.devices (user_id, token) VALUES (%s, 'another')", ME)
    full.known(UserFollowedCampaign(user_id=MARY, campaign_id=WELLS, follow_type="user"))
    before = full.entries()
    full.tell(gift.model_copy(), update.model_copy())
    assert full.entries() == before


@pytest.mark.chaos  # for its length
def test_two_workers_that_tell_followers_of_one_update_reach_each_of_them_once(post: Post) -> None:
    followers = [UUID(int=10_000 + n) for n in range(1_200)]
    contacts = "INSERT INTO app.contacts (user_id, email) SELECT id, id || '@example.org' FROM unnest(%s::uuid[]) AS id"
    follows = "INSERT INTO app.follows SELECT id, 'campaign', %s, now(), 1, true FROM unnest(%s::uuid[]) AS id"
    post.sql(contacts, followers)
    post.sql(follows, WELLS, followers)
    batches = [post.known(update), post.known(update)]
    with ThreadPoolExecutor(2) as pool:
        for run in [pool.submit(post.run, EmailBroadcastProcessor, batch) for batch in batches]:
            assert run.result(60).outcomes == {"done": 1}
    assert post.rows("SELECT state, count(*), count(DISTINCT user_id) FROM app.notifications GROUP BY 1") == [
        ("sent", 1_200, 1_200)
    ]


@pytest.mark.parametrize(
    ("message", "one", "other"),
    [
        ("refund", REFUND, refunded(GIFT, "4.00", refund_transaction_id="re_2")),
        ("goal_reached", ONES["goal_reached"],
         CampaignGoalReached(campaign_id=WELLS, goal_amount=Decimal(20), total_raised=Decimal(21), donor_count=3)),
        ("account_suspended", suspended(ME),
         suspended(ME).model_copy(update={"suspended_until": NOON + timedelta(days=90)})),
        ("bank_account_failed", ONES["bank_account_failed"],
         ONES["bank_account_failed"].model_copy(update={"attempt_count": 2})),
        ("new_follower", ONES["new_follower"], UserFollowedUser(follower_id=MARY, followed_user_id=ME)),
        ("campaign_paused", ONES["campaign_paused"],
         ONES["campaign_paused"].model_copy(update={"reason": "something else"})),
    ],
)  # fmt: skip
def test_another_matter_is_told_as_well(full: Post, message: str, one: Payload, other: Payload) -> None:
    full.tell(one, other, one, other)
    assert sorted(copies(full, message)) == sorted(list(once(message).items()) * 2)


def test_a_matter_is_one_text_however_its_values_are_written() -> None:
    def goal(amount: str) -> str:
        payload = CampaignGoalReached(
            campaign_id=WELLS, goal_amount=Decimal(amount), total_raised=Decimal(1), donor_count=1
        )
        return matter_of(BY_TEMPLATE["goal_reached"].matter, Event.of(payload))

    assert goal("10") == goal("10.00") == f"campaign_id={WELLS} goal_amount=10"
    assert goal("1000") == f"campaign_id={WELLS} goal_amount=1000"


def test_what_people_wrote_and_long_references_stand_in_a_matter_as_a_hash() -> None:
    pause = ONES["campaign_paused"].model_copy(update={"reason": "Ann said: no!\n" * 1_000})
    matter = matter_of(BY_TEMPLATE["campaign_paused"].matter, Event.of(pause))
    assert len(matter) < 200
    assert "Ann" not in matter


def test_the_id_of_a_message_follows_from_what_it_is_so_that_it_is_the_same_after_a_loss(post: Post) -> None:
    positions = receipt(post)
    mailed(post, positions)
    ids = post.column("SELECT id FROM app.notifications WHERE template = 'donation_receipt'")
    assert ids == [ledger_id(f"donation_id={GIFT}", "email", str(ME), "donation_receipt")]
    post.sql("DELETE FROM app.notifications")
    post.sql("DELETE FROM app.processed_events")
    mailed(post, positions)
    assert post.column("SELECT id FROM app.notifications WHERE template = 'donation_receipt'") == ids


def test_a_refund_that_is_published_again_tells_nothing_of_another_one(post: Post) -> None:
    post.people(JOHN)
    first, second = (refunded(GIFT, amount, refund_transaction_id=f"re_{amount}") for amount in ("10.00", "20.00"))
    post.tell(completed(WELLS, donation_id=GIFT, donor_id=JOHN, amount=Decimal("50.00")), first)
    later = post.known(second)
    post.tell(first.model_copy())
    mailed(post, later)
    assert post.rows("SELECT amount, total FROM app.refund_tellings ORDER BY total") == [(10, 10), (20, 30)]
    assert copies(post, "refund") == [("email", "sent")] * 2


def test_in_one_batch_too_a_second_event_tells_those_whom_the_first_could_not_reach(post: Post) -> None:
    nobody = completed(WELLS, donation_id=GIFT, donor_id=None)
    post.tell(nobody, nobody.model_copy(update={"donor_email": "guest@example.org"}))
    assert sorted(copies(post, "donation_receipt")) == [("email", "no address"), ("email", "sent")]


def test_a_planned_message_that_is_not_wanted_any_more_is_skipped_and_not_left_open(
    post: Post, mailer: SendGrid
) -> None:
    mailer.behave(Behaviour(status=503))
    gift = completed(WELLS, donation_id=GIFT, donor_id=JOHN)
    post.people(JOHN)
    positions = post.known(gift)
    post.sql("UPDATE app.contacts SET email = NULL WHERE user_id = %s", JOHN)  # only the owner is told
    mailed(post, positions)
    assert [one.state for one in post.entries("new_donation")] == ["queued"]
    post.sql(
        "UPDATE app.entity_fields SET value = %s::jsonb WHERE kind = 'campaign' AND field = 'owner_id'", f'"{JOHN}"'
    )
    due_now(post)
    mailed(post, positions)
    assert copies(post, "new_donation") == [("email", "own donation")]
    assert post.claims(EmailNotificationProcessor) == positions
