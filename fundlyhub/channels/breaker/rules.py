"""The thresholds and times of a circuit breaker, and the decisions that use them: pure functions."""

from __future__ import annotations

from dataclasses import dataclass

from fundlyhub.errors import OutcomeUnknown, Permanent, ServiceRefuses, Transient

BUCKETS = 6
"""Buckets of the sliding window; the oldest one is dropped as a whole."""


@dataclass(frozen=True, slots=True)
class Rules:
    """When a breaker opens, how long it stays open, and how it admits calls again. Times are in seconds."""

    failures: int = 5
    """Failures in a row that open the breaker."""
    window: float = 60.0
    """Length of the window over which the failure rate is measured."""
    minimum: int = 20
    """Fewest calls in the window for which the rate counts."""
    rate: float = 0.5
    """Failure rate in the window that opens the breaker."""
    slow: float = 5.0
    """A call that takes longer than this counts as a failure; its result is still returned."""
    rest: float = 30.0
    """Time without calls after the breaker opened; doubles with each failed probe."""
    rest_limit: float = 300.0
    """The longest rest."""
    probe_lease: float = 60.0
    """Time after which a probe without a result counts as lost; must be longer than any call."""
    ramp_step: float = 1.0
    """Length of one step of the slow start; the admitted calls per second double with each step."""
    ramp_steps: int = 10
    """Steps of the slow start; all calls are admitted after them."""


def failed(error: BaseException | None, seconds: float, rules: Rules) -> bool | None:
    """Whether a call counts as a failure of the service; None when its result says nothing about the service."""
    if isinstance(error, (Transient, OutcomeUnknown, ServiceRefuses)):
        return True
    if error is None or isinstance(error, Permanent):
        return seconds > rules.slow
    return None


def rate_too_high(calls: int, failures: int, rules: Rules) -> bool:
    """Whether the failure rate in the window opens the breaker."""
    return calls >= rules.minimum and failures >= rules.rate * calls


def rest_after(failed_probes: int, rules: Rules) -> float:
    """Seconds that the breaker stays open after some failed probes."""
    return min(rules.rest_limit, rules.rest * 2.0 ** min(failed_probes, 32))


def ramp_length(rules: Rules) -> float:
    """Seconds that the slow start takes."""
    return rules.ramp_step * rules.ramp_steps


def ramp_step(elapsed: float, rules: Rules) -> int | None:
    """The step of the slow start ``elapsed`` seconds after closing; None outside of it, also for a wrong clock."""
    return int(max(0.0, elapsed) // rules.ramp_step) if abs(elapsed) < ramp_length(rules) else None


def calls_a_second(step: int) -> int:
    """Calls per second of all workers together in a step of the slow start."""
    return 1 << min(step, 32)


def calls_in_step(step: int, rules: Rules) -> int:
    """Calls of all workers together in a step of the slow start."""
    return max(1, int(calls_a_second(step) * rules.ramp_step))


def bucket_length(rules: Rules) -> float:
    """Seconds in one bucket of the window."""
    return max(rules.window, 1.0) / BUCKETS


def buckets(now: float, rules: Rules) -> range:
    """The numbers of the window's buckets, the current one last."""
    last = int(now // bucket_length(rules))
    return range(last - BUCKETS + 1, last + 1)
