"""How fast many are told: by the setting, and at half of the speed at which a provider had enough."""

from __future__ import annotations

import math

from fundlyhub.processors.notifications.broadcasts.rate import REGAIN_TIME, Rate


class Clock:
    """A time that passes by sleeping."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds


def of(most: float, clock: Clock) -> Rate:
    """A rate by this clock."""
    return Rate(most, clock=clock, sleep=clock.sleep)


def begun_within(rate: Rate, clock: Clock, seconds: float) -> int:
    """How many messages may be begun in a time, a call taking a twentieth of a second for eight of them."""
    end, begun = clock.now + seconds, 0
    while clock.now < end:
        begun += rate.wait(8, end)
        clock.sleep(0.05)
    return begun


def test_without_a_limit_nothing_is_held_back() -> None:
    clock = Clock()
    assert abs(begun_within(of(0, clock), clock, 10) - 8 * 200) <= 8, "nothing but the calls takes time"


def test_a_setting_is_kept() -> None:
    for limit in (1, 5, 50):
        clock = Clock()
        assert abs(begun_within(of(limit, clock), clock, 20) - 20 * limit) <= max(8, limit)


def test_a_slow_limit_does_not_reach_beyond_the_end() -> None:
    clock = Clock()
    rate = of(0.1, clock)
    assert rate.wait(8, clock.now + 5) == 1
    assert rate.wait(8, clock.now + 5) == 0
    assert clock.now == 105.0


def test_after_a_refusal_it_pauses_and_goes_on_at_half_the_speed() -> None:
    clock = Clock()
    rate = of(0, clock)
    begun_within(rate, clock, 10)  # 160 a second
    for _ in range(8):  # all that were under way are refused: that is one word and not eight
        rate.refused(3)
    assert rate.held == 3
    clock.sleep(3)
    assert rate.held == 0
    assert 70 <= rate.rate <= 90
    assert 70 * 5 <= begun_within(rate, clock, 5) <= 90 * 5


def test_it_regains_its_speed_little_by_little() -> None:
    clock = Clock()
    rate = of(0, clock)
    begun_within(rate, clock, 10)
    rate.refused(1)
    before = rate.rate
    clock.sleep(1 + REGAIN_TIME)
    assert before < rate.rate < 1.2 * before
    clock.sleep(10 * REGAIN_TIME)
    assert rate.rate == math.inf


def test_refusals_one_after_the_other_end_at_one_a_second() -> None:
    clock = Clock()
    rate = of(0, clock)
    for _ in range(20):
        begun_within(rate, clock, 2)
        rate.refused(1)
        clock.sleep(1)
    assert 1 <= rate.rate <= 2
