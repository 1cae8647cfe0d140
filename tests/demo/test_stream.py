"""The demo's stream: seeded, valid, and with everything in it that the check is about."""

from __future__ import annotations

from collections import Counter
from itertools import chain

from fundlyhub import DonationCompleted, DonationRefunded
from fundlyhub.demo.scenario import DEEDS, FIRST_NAMES, LAST_NAMES, NOUNS, Transaction
from fundlyhub.demo.stream import Stream


def transactions(seed: int = 1, run: int = 1, events: int = 1_500) -> list[Transaction]:
    return list(Stream(seed, run, events).transactions())


def ids(stream: list[Transaction]) -> list[str]:
    return [f"{event.id} {event.payload_json!r}" for event in chain.from_iterable(t.events for t in stream)]


def test_the_same_seed_gives_the_same_stream() -> None:
    assert ids(transactions()) == ids(transactions())


def test_another_seed_or_run_gives_another_one() -> None:
    ours = set(ids(transactions()))
    assert not ours & set(ids(transactions(seed=2)))
    assert not ours & set(ids(transactions(run=2)))


def test_it_has_all_that_makes_counting_hard() -> None:
    stream = transactions(events=6_000)
    events = [event.payload for event in chain.from_iterable(t.events for t in stream if not t.rolls_back)]
    donations = [payload for payload in events if isinstance(payload, DonationCompleted)]
    refunds = [payload for payload in events if isinstance(payload, DonationRefunded)]
    per_campaign = Counter(donation.campaign_id for donation in donations).most_common()
    assert per_campaign[0][1] > 20 * per_campaign[-1][1]
    assert {donation.currency for donation in donations} == {"USD", "EUR", "GBP", "JPY"}
    assert any(donation.donor_id is None for donation in donations)
    assert {donation.is_anonymous for donation in donations} == {True, False, None}
    follows = {payload.event_type for payload in events if "followed_" in payload.event_type}
    assert len(follows) == 6
    shapes = {(refund.initiated_by == "system", refund.campaign_id is not None) for refund in refunds}
    assert shapes == {(True, True), (False, True), (False, False)}
    assert max(Counter(refund.donation_id for refund in refunds).values()) == 6
    assert 0.01 < sum(t.rolls_back for t in stream) / len(stream) < 0.06
    assert any(t.published_twice for t in stream)


def test_no_word_of_the_vocabulary_is_the_beginning_of_another_one() -> None:
    words = sorted(DEEDS + NOUNS + FIRST_NAMES + LAST_NAMES)
    assert not [(one, other) for one in words for other in words if one != other and other.startswith(one)]
