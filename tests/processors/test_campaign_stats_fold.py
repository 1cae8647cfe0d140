"""What events say about donations, without a database."""

from __future__ import annotations

from decimal import Decimal, localcontext
from itertools import permutations
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fundlyhub import Event
from fundlyhub.processors.projections.campaign_stats.fold import (
    EXACT,
    Fact,
    News,
    Refund,
    fold,
    join_refunds,
    refunded,
)
from tests.support.make import completed, initiated
from tests.support.make import refunded as refund_of

DONATION = UUID(int=1)
UNKNOWN = Fact(None)


def at(position: int, payload: object) -> Event:
    return Event.of(payload).model_copy(update={"position": position})  # type: ignore[arg-type]  # any payload


def person(position: int, amount: str) -> Refund:
    return Refund(position, Decimal(amount), False, None)


def system(position: int, amount: str) -> Refund:
    return Refund(position, Decimal(amount), True, Decimal(amount))


@pytest.mark.parametrize(
    ("refunds", "total"),
    [
        ({}, "0"),
        ({"a": person(1, "2")}, "2"),
        ({"a": person(1, "2"), "b": person(2, "3")}, "5"),
        ({"a": system(1, "2"), "b": system(2, "3")}, "3"),
        ({"a": system(2, "3"), "b": system(1, "2")}, "3"),
        ({"a": system(1, "2"), "b": person(2, "3")}, "5"),
        ({"a": person(1, "2")._replace(highest=Decimal(9))}, "2"),
    ],
)
def test_cumulative_refunds_count_by_their_highest_and_others_by_their_sum(
    refunds: dict[str, Refund], total: str
) -> None:
    assert refunded(refunds) == Decimal(total)


def test_sums_keep_every_decimal() -> None:
    tiny = "0." + "0" * 16_000 + "1"
    with localcontext(EXACT):
        total = refunded({"a": person(1, "1000000000000"), "b": person(2, tiny)})
    assert total == Decimal("1000000000000" + tiny[1:])


@pytest.mark.parametrize("order", list(permutations([3, 5, 7])))
def test_the_first_completion_wins_and_the_others_are_named(order: tuple[int, ...]) -> None:
    amounts = {position: Decimal(position) for position in order}
    events = [at(n, completed(donation_id=DONATION, amount=amounts[n])) for n in order]
    said = fold(events + events)[DONATION]
    assert said.gift is not None
    assert (said.gift.position, said.gift.amount) == (3, Decimal(3))
    assert said.lost(UNKNOWN) == {5, 7}
    assert said.lost(Fact(said.gift)) == {5, 7}
    assert said.lost(Fact(said.gift._replace(position=1))) == {3, 5, 7}


def test_the_same_completion_twice_is_no_repeat() -> None:
    event = at(3, completed(donation_id=DONATION))
    assert fold([event, event])[DONATION].lost(UNKNOWN) == set()


def test_a_refund_takes_no_more_than_the_gift() -> None:
    given_back = at(4, refund_of(DONATION, "11.00"))
    fact = fold([at(3, completed(donation_id=DONATION)), given_back])[DONATION].applied(UNKNOWN, {})
    assert (fact.refunded, fact.returned, fact.exceeded_at) == (Decimal(11), Decimal(10), 3)


def test_without_its_gift_a_refund_takes_nothing() -> None:
    fact = fold([at(4, refund_of(DONATION, "11.00"))])[DONATION].applied(UNKNOWN, {})
    assert (fact.refunded, fact.returned, fact.exceeded_at) == (Decimal(11), Decimal(0), None)


def test_other_events_say_nothing() -> None:
    assert fold([at(1, initiated())]) == {}


def test_an_event_without_a_position_is_refused() -> None:
    with pytest.raises(ValueError, match="position"):
        fold([Event.of(completed())])


def test_no_news_changes_nothing() -> None:
    before = Fact(None, Decimal(2), 1)
    assert News().applied(before, {}) == before


# An event has one position and one content: equal positions mean equal refunds.
events_of_one_refund = st.integers(1, 9).map(lambda n: system(n, str(n * 7 % 5 + 1)) if n % 3 else person(n, str(n)))


@given(a=events_of_one_refund, b=events_of_one_refund, c=events_of_one_refund)
def test_refunds_join_in_any_order_and_any_number(a: Refund, b: Refund, c: Refund) -> None:
    assert join_refunds(a, b) == join_refunds(b, a)
    assert join_refunds(join_refunds(a, b), c) == join_refunds(a, join_refunds(b, c))
    assert join_refunds(a, a) == a
