"""What events say about donations, without a database."""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations
from uuid import UUID, uuid4

import pytest

from fundlyhub import Event
from fundlyhub.processors.projections.campaign_stats.fold import Fact, News, fold
from tests.support.make import completed, initiated
from tests.support.make import refunded as refund_of

DONATION = UUID(int=1)
UNKNOWN = Fact(None)


def at(position: int, payload: object) -> Event:
    return Event.of(payload).model_copy(update={"position": position})  # type: ignore[arg-type]  # any payload


@pytest.mark.parametrize("order", list(permutations([3, 5, 7])))
def test_the_first_completion_wins_and_the_others_are_named(order: tuple[int, ...]) -> None:
    amounts = {position: Decimal(position) for position in order}
    events = [at(n, completed(donation_id=DONATION, amount=amounts[n])) for n in order]
    said = fold(events + events)[DONATION]
    assert said.gift is not None
    assert (said.gift.position, said.gift.amount) == (3, Decimal(3))
    assert said.lost(UNKNOWN) == {5, 7}
    assert said.lost(Fact(said.gift)) == {5, 7}
    assert said.lost(Fact(said.gift._replace(position=1, event_id=uuid4()))) == {3, 5, 7}


def test_the_same_completion_twice_is_no_repeat() -> None:
    event = at(3, completed(donation_id=DONATION))
    assert fold([event, event])[DONATION].lost(UNKNOWN) == set()


def test_a_refund_takes_no_more_than_the_gift() -> None:
    given_back = at(4, refund_of(DONATION, "11.00"))
    said = fold([at(3, completed(donation_id=DONATION)), given_back])[DONATION]
    fact = said.applied(UNKNOWN, said.refunds)
    assert (fact.refunded, fact.returned, fact.exceeded_at) == (Decimal(11), Decimal(10), 3)


def test_without_its_gift_a_refund_takes_nothing() -> None:
    said = fold([at(4, refund_of(DONATION, "11.00"))])[DONATION]
    fact = said.applied(UNKNOWN, said.refunds)
    assert (fact.refunded, fact.returned, fact.exceeded_at) == (Decimal(11), Decimal(0), None)


def test_other_events_say_nothing() -> None:
    assert fold([at(1, initiated())]) == {}


def test_an_event_without_a_position_is_refused() -> None:
    with pytest.raises(ValueError, match="position"):
        fold([Event.of(completed())])


def test_no_news_changes_nothing() -> None:
    before = Fact(None, Decimal(2), 1)
    assert News().applied(before, {}) == before
