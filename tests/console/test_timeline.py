"""Timelines to scale: order and proportions hold, and a long gap leaves the rest apart to the eye."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from pytest import approx

from fundlyhub.console.timeline import FOLD, WIDTH, timeline

START = datetime(2026, 11, 30, tzinfo=UTC)


def at(*seconds: float) -> list[datetime]:
    return [START + timedelta(seconds=one) for one in seconds]


def test_what_is_close_together_is_to_scale() -> None:
    moments = at(0, 1, 3, 4)
    found = timeline(moments)
    assert found is not None
    assert [found.x[one] for one in moments] == [0.0, approx(250), approx(750), approx(WIDTH)]
    assert (found.folds, found.seconds) == ([], 4.0)


def test_a_month_in_between_is_folded_and_told() -> None:
    moments = at(0, 0.01, 0.03, 2_600_000, 2_600_000.01)
    found = timeline(moments)
    assert found is not None
    assert [fold.seconds for fold in found.folds] == [approx(2_599_999.97)]
    places = [found.x[one] for one in moments]
    assert places[1] - places[0] == approx((WIDTH - FOLD) / 4)
    assert places[3] - places[2] == approx(FOLD)
    assert places[-1] == approx(WIDTH)


def test_what_happened_within_a_second_is_to_scale_however_uneven() -> None:
    found = timeline(at(0, 0.001, 0.02, 0.9))
    assert found is not None
    assert found.folds == []


def test_one_moment_makes_no_timeline() -> None:
    assert timeline(at(5, 5)) is None
    assert timeline([]) is None


@given(st.lists(st.integers(0, 10**15), min_size=2, max_size=60, unique=True))
def test_the_order_holds_and_nothing_is_outside(microseconds: list[int]) -> None:
    moments = [START + timedelta(microseconds=one) for one in microseconds]
    found = timeline(moments)
    assert found is not None
    places = [found.x[one] for one in sorted(moments)]
    assert places[0] == 0.0
    assert all(before <= after <= WIDTH for before, after in itertools.pairwise(places))
    assert places[-1] == approx(WIDTH)
    assert len(found.folds) <= 10
