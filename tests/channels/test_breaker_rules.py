"""The decisions of the circuit breaker, as tables."""

from __future__ import annotations

import pytest

from fundlyhub.channels.breaker.rules import (
    BUCKETS,
    Rules,
    bucket_length,
    buckets,
    calls_a_second,
    calls_in_step,
    failed,
    ramp_step,
    rate_too_high,
    rest_after,
)
from fundlyhub.channels.breaker.state import CLOSED, HALF_OPEN, OPEN, Counts, State, after
from fundlyhub.errors import AddressGone, OutcomeUnknown, Permanent, ServiceRefuses, Snooze, Transient

RULES = Rules()


@pytest.mark.parametrize(
    ("error", "seconds", "verdict"),
    [
        (None, 5.0, False),
        (None, 5.1, True),
        (Permanent("no"), 0.1, False),
        (AddressGone("gone"), 0.1, False),
        (Permanent("no, after a long while"), 9.0, True),
        (Transient("down"), 0.1, True),
        (OutcomeUnknown("cut"), 0.1, True),
        (ServiceRefuses("wrong key", seconds=300), 0.1, True),
        (Snooze("too many requests", seconds=7), 0.1, None),
        (Snooze("too many requests, after a long while", seconds=7), 9.0, None),
        (ValueError("a fault of ours"), 0.1, None),
        (KeyboardInterrupt(), 0.1, None),
    ],
)
def test_what_speaks_against_the_service(error: BaseException | None, seconds: float, verdict: bool | None) -> None:
    assert failed(error, seconds, RULES) is verdict


@pytest.mark.parametrize(
    ("calls", "failures", "high"),
    [(0, 0, False), (19, 19, False), (20, 9, False), (20, 10, True), (21, 10, False), (1000, 499, False),
     (1000, 500, True)],
)  # fmt: skip
def test_when_the_rate_is_too_high(calls: int, failures: int, high: bool) -> None:
    assert rate_too_high(calls, failures, RULES) is high


@pytest.mark.parametrize(
    ("failed_probes", "seconds"), [(0, 30), (1, 60), (2, 120), (3, 240), (4, 300), (5, 300), (5000, 300)]
)
def test_how_long_it_rests(failed_probes: int, seconds: float) -> None:
    assert rest_after(failed_probes, RULES) == seconds


@pytest.mark.parametrize(
    ("elapsed", "step", "calls"),
    [(-5, 0, 1), (0, 0, 1), (0.99, 0, 1), (1, 1, 2), (2.5, 2, 4), (3, 3, 8), (9.99, 9, 512), (10, None, None),
     (1e9, None, None), (-1e9, None, None)],
)  # fmt: skip
def test_how_many_calls_a_second_the_ramp_lets_in(elapsed: float, step: int | None, calls: int | None) -> None:
    assert ramp_step(elapsed, RULES) == step
    assert (None if step is None else calls_a_second(step)) == calls


@pytest.mark.parametrize(("length", "calls"), [(1.0, [1, 2, 4]), (2.5, [2, 5, 10]), (0.1, [1, 1, 1])])
def test_how_many_calls_a_step_lets_in(length: float, calls: list[int]) -> None:
    assert [calls_in_step(step, Rules(ramp_step=length)) for step in range(3)] == calls


def test_no_ramp_at_all() -> None:
    assert ramp_step(0, Rules(ramp_step=0)) is None
    assert ramp_step(0, Rules(ramp_steps=0)) is None


@pytest.mark.parametrize("step", [0.1, 0.3, 0.7])
def test_the_ramp_ends_however_long_its_steps_are(step: float) -> None:
    rules = Rules(ramp_step=step)
    assert ramp_step(step * rules.ramp_steps, rules) is None


def test_the_parts_of_the_window_cover_it_and_no_more() -> None:
    parts = buckets(600.0, RULES)
    assert (parts[0], parts[-1], len(parts)) == (55, 60, BUCKETS)
    assert len(parts) * bucket_length(RULES) == RULES.window
    assert buckets(609.9, RULES) == parts


@pytest.mark.parametrize(
    ("name", "verdict", "counts", "to", "reason"),
    [
        (CLOSED, True, Counts(4, 4, 4), None, ""),
        (CLOSED, True, Counts(5, 5, 5), OPEN, "5 failures in a row, the last: x"),
        (CLOSED, True, Counts(1, 20, 10), OPEN, "10 of 20 calls failed, the last: x"),
        (CLOSED, True, Counts(1, 20, 9), None, ""),
        (CLOSED, False, Counts(0, 20, 20), None, ""),
        (HALF_OPEN, False, Counts(0, 1, 0), CLOSED, "a probe succeeded"),
        (HALF_OPEN, True, Counts(1, 1, 1), OPEN, "a probe failed: x"),
    ],
)
def test_what_a_result_leads_to(name: str, verdict: bool, counts: Counts, to: str | None, reason: str) -> None:
    found = after(State(name), verdict, counts, 0.0, RULES, "x")
    assert (found and (found.name, found.reason)) == (to and (to, reason))
