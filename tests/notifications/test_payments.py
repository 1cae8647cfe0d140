"""One payment of a campaign is told once, under whatever donation ids it stands in the log."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import pytest

from fundlyhub import DonationCompleted
from fundlyhub.processing import dead_letters
from fundlyhub.processing.dead_letters.canary import Terms
from fundlyhub.processors.notifications import EmailNotificationProcessor, PushNotificationProcessor
from tests.notifications.post import JOHN, TELLING, WELLS, Post
from tests.support.make import completed

FIRST, SECOND = UUID(int=92), UUID(int=90)
HELD = "another donation of the same payment: replay it to tell it all the same, or discard it"
LETTERS = [
    ("email_notification", "Held", f"donation_receipt: {HELD}"),
    ("push_notification", "Held", f"new_donation: {HELD}"),
]


@pytest.fixture
def giver(post: Post) -> Post:
    """John, who pays once."""
    post.people(JOHN)
    return post


def paid(donation: UUID, **fields: object) -> DonationCompleted:
    return completed(WELLS, **{"donation_id": donation, "donor_id": JOHN, "transaction_id": "pi_1", **fields})


def told(post: Post, positions: Sequence[int]) -> None:
    for processor in TELLING:
        post.run(processor, positions)


def sent(post: Post) -> list[tuple[str, str]]:
    return [(one.template, one.channel) for one in post.entries() if one.state == "sent"]


ONCE = [("donation_receipt", "email"), ("new_donation", "email"), ("new_donation", "push")]


def test_of_two_in_one_batch_the_first_is_told_and_the_other_is_held(giver: Post) -> None:
    first, second = giver.tell(paid(FIRST), paid(SECOND))
    assert sent(giver) == ONCE
    assert giver.letters() == LETTERS
    assert giver.claims(EmailNotificationProcessor)[-1:] == [first]
    assert second not in giver.claims(PushNotificationProcessor)


def test_and_of_two_in_two_batches(giver: Post) -> None:
    giver.tell(paid(FIRST))
    giver.tell(paid(SECOND))
    assert (sent(giver), giver.letters()) == (ONCE, LETTERS)


def test_the_second_is_held_when_the_first_is_known_but_not_told_yet(giver: Post) -> None:
    positions = giver.known(paid(FIRST), paid(SECOND))
    told(giver, positions[1:])
    assert (sent(giver), giver.letters()) == ([], LETTERS)
    told(giver, positions[:1])
    assert (sent(giver), giver.letters()) == (ONCE, LETTERS)


def test_where_the_second_was_told_before_anything_was_known_of_the_first_the_first_is_held(giver: Post) -> None:
    positions = giver.publish(paid(FIRST), paid(SECOND))
    told(giver, positions[1:])
    told(giver, positions)
    assert (sent(giver), giver.letters()) == (ONCE, LETTERS)


def test_what_a_person_sends_again_is_told(giver: Post) -> None:
    positions = giver.tell(paid(FIRST), paid(SECOND))
    letters = giver.column("SELECT id FROM events.dead_letters")
    dead_letters.replay(letters, lambda *_: None, who="ann", terms=Terms(wait=False))
    told(giver, positions)
    told(giver, positions)
    assert sorted(sent(giver)) == sorted(ONCE * 2)


@pytest.mark.parametrize(
    "other",
    [
        paid(SECOND, transaction_id="pi_2"),
        paid(SECOND, payment_provider="paypal"),
        paid(SECOND).model_copy(update={"campaign_id": UUID(int=12)}),
    ],
    ids=["another payment", "another provider", "another campaign"],
)
def test_another_payment_or_campaign_is_another_matter(giver: Post, other: DonationCompleted) -> None:
    positions = giver.known(paid(FIRST), other)
    giver.run(EmailNotificationProcessor, positions)
    assert giver.letters() == []
    assert len([one for one in giver.entries("donation_receipt") if one.state == "sent"]) >= 1


def test_the_same_donation_told_again_is_no_duplicate(giver: Post) -> None:
    giver.tell(paid(FIRST))
    giver.tell(paid(FIRST))
    assert giver.letters() == []
