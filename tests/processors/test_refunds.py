"""What refunds add up to, without a database, and that the database joins as the code does."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from fundlyhub.processors.shared.refunds import Refund, Refunds, join, total

DONATION = UUID(int=1)


def single(position: int, amount: str) -> Refund:
    return Refund(position, Decimal(amount), False, None)


def cumulative(position: int, amount: str) -> Refund:
    return Refund(position, Decimal(amount), True, Decimal(amount))


@pytest.mark.parametrize(
    ("refunds", "amount"),
    [
        ({}, "0"),
        ({"a": single(1, "2")}, "2"),
        ({"a": single(1, "2"), "b": single(2, "3")}, "5"),
        ({"a": cumulative(1, "2"), "b": cumulative(2, "3")}, "3"),
        ({"a": cumulative(2, "3"), "b": cumulative(1, "2")}, "3"),
        ({"a": cumulative(1, "2"), "b": single(2, "3")}, "3"),
        ({"a": cumulative(1, "2"), "b": single(2, "1"), "c": single(3, "2")}, "3"),
        ({"a": single(1, "10"), "b": cumulative(2, "30")}, "30"),
        ({"a": single(1, "2")._replace(highest=Decimal(9))}, "9"),
    ],
)
def test_the_total_is_the_highest_cumulative_amount_or_the_sum_of_the_single_ones(
    refunds: Mapping[str, Refund], amount: str
) -> None:
    assert total(refunds.values()) == Decimal(amount)


def test_sums_keep_every_decimal() -> None:
    tiny = "0." + "0" * 16_000 + "1"
    assert total([single(1, "1000000000000"), single(2, tiny)]) == Decimal("1000000000000" + tiny[1:])


# An event has one position and one content: equal positions mean equal refunds.
events_of_one_refund = st.integers(1, 9).map(
    lambda n: cumulative(n, str(n * 7 % 5 + 1)) if n % 3 else single(n, str(n))
)


@given(a=events_of_one_refund, b=events_of_one_refund, c=events_of_one_refund)
def test_refunds_join_in_any_order_and_any_number(a: Refund, b: Refund, c: Refund) -> None:
    assert join(a, b) == join(b, a)
    assert join(join(a, b), c) == join(a, join(b, c))
    assert join(a, a) == a


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=st.lists(events_of_one_refund, min_size=1))
def test_the_database_joins_as_the_code_does(analytics: Engine, told: list[Refund]) -> None:
    refunds, expected = Refunds("donation_refunds"), None
    with analytics.connect() as db:
        for refund in told:
            refunds.add(db, {DONATION: {"re_1": refund}})
            expected = join(expected, refund)
        assert refunds.read(db, [DONATION]) == {DONATION: {"re_1": expected}}
        db.rollback()
