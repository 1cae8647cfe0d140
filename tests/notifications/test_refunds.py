"""Each part of what was returned is told once, whoever tells of it and in whatever order."""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest

from fundlyhub import DonationRefunded
from fundlyhub.processing import dead_letters
from fundlyhub.processing.dead_letters.canary import Terms
from fundlyhub.processors.notifications import EmailNotificationProcessor
from fundlyhub.processors.writes import RecipientWriteProcessor
from fundlyhub.testing.providers import Behaviour, SendGrid
from tests.notifications.post import JOHN, WELLS, Post
from tests.support.make import completed, refunded
from tests.support.publishing import To

GIFT = UUID(int=92)
TELLINGS = "SELECT amount, total FROM app.refund_tellings ORDER BY total, amount"


def by_webhook(amount: str, name: str, **fields: Any) -> DonationRefunded:
    """What was returned so far, as the payment webhook tells it of a known initiator."""
    return refunded(GIFT, amount, refund_transaction_id=name, campaign_id=WELLS, **fields)


def by_api(amount: str, name: str) -> DonationRefunded:
    """One refund alone."""
    return refunded(GIFT, amount, refund_transaction_id=name)


@pytest.fixture
def giver(post: Post) -> Post:
    """John, who gave 50."""
    post.people(JOHN)
    post.tell(completed(WELLS, donation_id=GIFT, donor_id=JOHN, amount=Decimal("50.00")))
    return post


def tellings(post: Post) -> list[tuple[int, int]]:
    return [(int(amount), int(total)) for amount, total in post.rows(TELLINGS)]


def outcomes(post: Post) -> list[str]:
    return sorted(one.reason or one.state for one in post.entries("refund"))


def test_a_second_cumulative_refund_tells_what_is_more_and_the_sum_so_far(giver: Post, mailer: SendGrid) -> None:
    giver.tell(by_webhook("10.00", "re_1"))
    giver.tell(by_webhook("30.00", "re_2"))
    first, second = (texts(one.body) for one in mailer.accepted if "refund" in one.body["subject"])
    assert "10.00" in first
    assert "so far" not in first
    assert "We have refunded $20.00 of your gift" in second
    assert "that is $30.00" in second
    assert "Refunded so far" in second


def texts(mail: Any) -> str:
    return "".join(part["value"] for part in mail["content"])


@pytest.mark.parametrize("order", list(permutations(range(4))), ids=str)
def test_in_any_order_the_amounts_that_are_told_add_up_to_what_was_returned(
    giver: Post, order: tuple[int, ...]
) -> None:
    """10 and then 20 were returned: the API and the webhook tell of both."""
    told = [by_api("10.00", "re_1"), by_webhook("10.00", "re_1"), by_api("20.00", "re_2"), by_webhook("30.00", "re_2")]
    positions = giver.publish(*(told[n] for n in order))
    for position in positions:
        giver.run(RecipientWriteProcessor, [position])
        giver.run(EmailNotificationProcessor, [position])
    amounts = [amount for amount, _ in tellings(giver)]
    assert sum(amounts) == 30
    assert max(total for _, total in tellings(giver)) == 30
    assert set(outcomes(giver)) <= {"sent", "nothing more was returned"}


def test_in_one_backlog_too(giver: Post) -> None:
    giver.tell(by_webhook("10.00", "re_1"), by_api("10.00", "re_1"), by_webhook("30.00", "re_2"))
    assert tellings(giver) == [(10, 10), (20, 30)]


def test_a_cumulative_refund_that_comes_late_tells_nobody(giver: Post) -> None:
    giver.tell(by_webhook("30.00", "re_2"))
    giver.tell(by_webhook("10.00", "re_1"))
    assert tellings(giver) == [(30, 30)]
    assert outcomes(giver) == ["nothing more was returned", "sent"]


def test_single_refunds_are_each_told_with_their_own_amount(giver: Post) -> None:
    giver.tell(by_api("10.00", "re_1"), by_api("15.00", "re_2"))
    assert tellings(giver) == [(10, 10), (15, 25)]


def test_a_refund_that_is_not_written_down_yet_is_waited_for(giver: Post) -> None:
    positions = giver.publish(by_webhook("10.00", "re_1"))
    assert giver.run(EmailNotificationProcessor, positions).outcomes == {"snoozed": 1}
    giver.run(RecipientWriteProcessor, positions)
    giver.run(EmailNotificationProcessor, positions)
    assert tellings(giver) == [(10, 10)]


def test_a_resumed_run_tells_what_was_planned_whatever_came_meanwhile(giver: Post, mailer: SendGrid) -> None:
    mailer.behave(Behaviour(status=503))
    positions = giver.tell(by_api("10.00", "re_1"))
    giver.tell(by_webhook("30.00", "re_2"))
    giver.sql("UPDATE app.notifications SET not_before = now()")
    giver.run(EmailNotificationProcessor, positions)
    assert tellings(giver) == [(10, 10), (20, 30)]
    assert "We have refunded $10.00 of your gift" in texts(mailer.accepted[-1].body)
    assert outcomes(giver) == ["sent", "sent"]


def test_a_refund_above_the_gift_is_held_for_a_person_who_may_have_it_told(giver: Post) -> None:
    giver.tell(by_webhook("30.00", "re_1"))
    positions = giver.tell(by_webhook("60.00", "re_2"))
    assert giver.letters() == [
        (
            "email_notification", "Held",
            "refund: more would be returned than was given: replay it to tell it all the same, or discard it",
        )
    ]  # fmt: skip
    assert tellings(giver) == [(30, 30)]
    [letter] = giver.column("SELECT id FROM events.dead_letters")
    dead_letters.replay([letter], To(lambda *_: None), who="ann", terms=Terms(wait=False))
    giver.run(EmailNotificationProcessor, positions)
    assert tellings(giver) == [(30, 30), (30, 60)]
    assert outcomes(giver) == ["sent", "sent"]


def test_what_is_held_holds_up_no_neighbour(giver: Post) -> None:
    other = completed(WELLS, donor_id=JOHN, transaction_id="pi_other")
    giver.tell(by_api("60.00", "re_1"), other, refunded(other.donation_id, "4.00"))
    assert outcomes(giver) == ["sent"]
    assert len(giver.letters()) == 1
