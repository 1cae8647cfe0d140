"""The relay's pace: haste while workers keep up, sharing when they do not, and no longer than they need it."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from fundlyhub.relay.batching_delay import CROWD, FIRST, GROWTH, LEAST, LONGEST, LOOK, Pace, crowd, next_pause


def test_while_workers_keep_up_nothing_is_held_back() -> None:
    assert next_pause(0.0, 0, CROWD) == 0.0


def test_while_messages_pile_up_more_and_more_events_share_one() -> None:
    pauses = [0.0]
    for waiting in range(CROWD + 1, CROWD + 12):
        pauses.append(next_pause(pauses[-1], waiting - 1, waiting))
    assert pauses[1] == FIRST
    assert pauses[2] == GROWTH * FIRST
    assert pauses[-1] == LONGEST


def test_while_they_become_fewer_the_pause_is_long_enough() -> None:
    assert next_pause(0.02, 40, 30) == 0.02


def test_afterwards_it_goes_down_step_by_step_to_nothing() -> None:
    pause, steps = LONGEST, 0
    while pause:
        shorter = next_pause(pause, 0, 0)
        assert shorter < pause
        pause, steps = shorter, steps + 1
    assert 10 < steps < 100


@given(st.just(0.0) | st.floats(LEAST, LONGEST), st.integers(-500, 10**6), st.integers(-500, 10**6))
def test_it_is_never_longer_than_the_longest(pause: float, before: int, now: int) -> None:
    after = next_pause(pause, before, now)
    assert after == 0.0 or 0.9 * LEAST <= after <= LONGEST


def test_workers_that_could_not_keep_up_with_single_events_have_few_messages_waiting() -> None:
    """Five hundred events a second, and workers that run two hundred messages a second, in steps of a look."""
    pause, waiting, seen = 0.0, 0.0, []
    for _ in range(300):
        messages = min(500 * LOOK, LOOK / pause if pause else 500 * LOOK)
        before, waiting = waiting, max(0.0, waiting + messages - 200 * LOOK)
        pause = next_pause(pause, int(before), int(waiting))
        seen.append(waiting)
    assert max(seen) < 60
    assert sum(seen) / len(seen) < 10


def test_the_broker_is_asked_ten_times_a_second_at_most() -> None:
    pace, asked, began = Pace(), 0, time.monotonic()

    def waiting() -> int:
        nonlocal asked
        asked += 1
        return CROWD + 1

    pauses = {pace.pause(waiting) for _ in range(1_000)}
    assert 1 <= asked <= 1 + (time.monotonic() - began) / LOOK
    assert FIRST in pauses


def test_a_pause_does_not_outlast_an_idle_time() -> None:
    now = 0.0
    pace = Pace(lambda: now)
    depths = iter(range(CROWD + 1, CROWD + 30))
    while pace.pause(lambda: next(depths)) < LONGEST:
        now += LOOK
    now += 10.0
    assert pace.pause(lambda: 0) == 0.0


def test_messages_to_people_that_wait_hold_up_no_donation() -> None:
    assert crowd({"writes": 1, "projections": 2, "notifications": 5_000, "broadcasts": 300}) == 2
